"""Publish one registered birth as the Ministry of Justice: `python publish_birth.py [agency]`.

The connection comes from the agency's file (CIVICBUS_AGENCY_FILE, or agencies/<agency>.json in
CIVICBUS_HOME). The persons are invented.
"""

import sys
from datetime import UTC, date, datetime

from civicbus_producers.publisher import Publisher
from civicbus_schemas.ids import Pin
from civicbus_schemas.vietnam.events import BirthRegistered

agency = sys.argv[1] if len(sys.argv) > 1 else "moj"

birth = BirthRegistered(
    child=BirthRegistered.Child(
        pin="001324012345",
        date_of_birth=date(2024, 3, 1),
        full_name="Nguyễn Minh An",
        sex="female",
        place_of_birth="Bệnh viện Bạch Mai",
        nationality="VN",
    ),
    parents=[
        BirthRegistered.Parent(
            pin="001193054321",
            date_of_birth=date(1993, 5, 6),
            role="mother",
            full_name="Trần Thu Hà",
            nationality="VN",
        )
    ],
    registration_kind="on-time",
    registration_number="45/2024",
    registry_commune_code="00070",
    registered_at=datetime(2024, 3, 4, 9, 30, tzinfo=UTC),
)

with Publisher.connect(agency) as publisher:
    receipt = publisher.publish(birth, subject=Pin(birth.child.pin), time=birth.registered_at)
    published = receipt.wait(timeout_s=20)

sys.stdout.write(f"event {published.event_id} lies in {published.topic}\n")
