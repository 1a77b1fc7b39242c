"""What people type, as a `Query`: a PIN becomes a pseudonym, a bare time is Vietnam's."""

from __future__ import annotations

import sys
from datetime import datetime

from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import Pin, agency_id, hex_id
from civicbus_schemas.pseudonym import ledger_pseudonym, officer_pseudonym

from civicbus_audit.places import Places
from civicbus_audit.presenting import LOCAL_TIME


def subject_of(pin: str, places: Places) -> str:
    """The ledger pseudonym of a PIN; - reads the PIN from stdin."""
    text = sys.stdin.readline().strip() if pin == "-" else pin
    return ledger_pseudonym(places.ledger_key(), Pin(text))


def officer_of(officer: str | None, agency: str | None, places: Places) -> str | None:
    """The pseudonym of an agency's officer."""
    if officer is None:
        return None
    if agency is None:
        raise Refused("an officer is known by agency and id", expected="--agency beside --officer")
    return officer_pseudonym(places.ledger_key(), agency_id(agency), officer)


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
