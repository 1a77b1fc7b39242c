"""Of how many people an agreement may still tell its recipient something on this day. Pure.

Each person takes one place of the agreement's day, once, and has it until midnight. Places are
reserved where uses of consents are (`consent.uses.Reservations`), so that all processes count
together and a restart forgets nothing.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, time, timedelta
from typing import Final
from uuid import UUID, uuid5

from civicbus_schemas.agreement import NATION_ZONE, local_day
from civicbus_schemas.ids import AgreementRef

from civicbus_consumers.consent.uses import Use

_COUNTERS: Final = UUID("6a7b0a52-92f5-4c5c-8f5e-5d1c9b1f7f10")
"""The namespace of the counters' ids; another one would begin every count anew."""


def place_of(ref: AgreementRef, subject: bytes, at: datetime, *, allowed: int) -> Use:
    """The place of this person in the agreement's day, of which there are so many.

    Counted is the agreement, not its version. `subject` is a topic pseudonym; the claim tells
    nothing of it to whom does not hold it, and differs from day to day.
    """
    day = local_day(at).isoformat()
    who = hashlib.sha256(f"{ref.id}\x00{day}\x00".encode() + subject).hexdigest()[:32]
    return Use(
        consent=str(uuid5(_COUNTERS, ref.id)), claim=f"{day} {who}", period=day, allowed=allowed
    )


def until_tomorrow_s(at: datetime) -> float:
    """The seconds to the nation's next midnight."""
    midnight = datetime.combine(local_day(at) + timedelta(days=1), time(), NATION_ZONE)
    return (midnight - at).total_seconds()
