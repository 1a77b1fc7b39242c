"""Enrol the children that Social Security is told of: `python enrol_children.py [agency]`.

Deliveries come at least once. The enrolment and the delivery's id are written in one transaction,
so that a repetition changes nothing; only then is the delivery acknowledged. It ends when nothing
came for three seconds; a service would leave `idle_s` away. The connection comes from the agency's
file (CIVICBUS_AGENCY_FILE, or agencies/<agency>.json in CIVICBUS_HOME).
"""

import sqlite3
import sys

from civicbus_consumers.delivery import Delivery
from civicbus_consumers.subscription import Subscription

agency = sys.argv[1] if len(sys.argv) > 1 else "vss"

database = sqlite3.connect("enrolments.sqlite")
database.execute("CREATE TABLE IF NOT EXISTS seen (event_id TEXT PRIMARY KEY)")
database.execute("CREATE TABLE IF NOT EXISTS enrolled (pin TEXT, full_name TEXT, record_id TEXT)")

with Subscription.connect(agency, families=["civil-status"]) as subscription:
    for received in subscription.deliveries(idle_s=3):
        if isinstance(received, Delivery) and received.type == "civil-status.BirthRegistered":
            child = received.event.child
            with database:
                seen = database.execute(
                    "INSERT OR IGNORE INTO seen VALUES (?)", (received.event_id,)
                )
                if seen.rowcount:
                    row = (child.pin, child.full_name, received.record_id)
                    database.execute("INSERT INTO enrolled VALUES (?, ?, ?)", row)
        received.acknowledge()

(count,) = database.execute("SELECT count(*) FROM enrolled").fetchone()
database.close()
sys.stdout.write(f"{count} children enrolled\n")
