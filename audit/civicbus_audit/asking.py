"""What people type, as a `Query`: the vault knows a PIN's pseudonym, a bare time is Vietnam's."""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import datetime

from civicbus_schemas import subject as subjects
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import Pin, agency_id, hex_id
from civicbus_schemas.subject import Secret, Subject

from civicbus_audit.options import needs_index
from civicbus_audit.places import Places
from civicbus_audit.presenting import LOCAL_TIME


class UnknownSubject(Refused):
    """The vault holds no secret of them: nothing was recorded, or it was erased."""


def person_of(pin: str, places: Places) -> Secret:
    """What the vault holds of a PIN; - reads the PIN from stdin. Raises `UnknownSubject`."""
    text = sys.stdin.readline().strip() if pin == "-" else pin
    return _secret_of(subjects.person(Pin(text)), places)


def officer_of(officer: str | None, agency: str | None, places: Places) -> str | None:
    """The pseudonym of an agency's officer; raises `UnknownSubject`."""
    if officer is None:
        return None
    if agency is None:
        raise Refused("an officer is known by agency and id", expected="--agency beside --officer")
    return _secret_of(subjects.officer(agency_id(agency), officer), places).pseudonym


def _secret_of(subject: Subject, places: Places) -> Secret:
    with needs_index(), closing(places.vault()) as vault:
        found = vault.find([subject]).get(subject)
    if found is None:
        raise UnknownSubject(
            f"the vault knows no such {subject.kind.what}",
            expected="one about whom something was recorded, and not erased since",
        )
    return found


def parse_hex(text: str | None, what: str) -> str | None:
    """An id or a pseudonym as typed; raises `InvalidIdentifier`."""
    return None if text is None else hex_id(text, what=what)


def parse_time(text: str | None) -> datetime | None:
    """An ISO 8601 time as typed; raises `Refused`."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise Refused("not a time", expected="ISO 8601, such as 2026-11-21T09:00") from None
    return time if time.tzinfo else time.replace(tzinfo=LOCAL_TIME)
