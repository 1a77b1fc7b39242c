"""A demand's body, read strictly: what is missing, unknown or of another form refuses it. Pure.

An error names the member and its rule, never what was written there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

from civicbus_schemas import ids
from civicbus_schemas.consent import Uses
from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.vocabulary import ConsentAct, UsePeriod

from civicbus_consumers.consent.registry.acts import Alter, Demand, Give, Request, Signer, Terms
from civicbus_consumers.consent.rules import MAX_FIELDS, MAX_USES
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.problems import Problem
from civicbus_consumers.lookup.request import json_object

ANSWER_WITHIN = timedelta(days=30)

_FIELD = re.compile(r"[a-z0-9-]{1,64}\.[A-Za-z0-9]{1,64}:[A-Za-z0-9_.\[\]]{1,128}")
_HASH = re.compile(r"[0-9a-f]{64}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_OPTIONAL_TERMS = {"valid_until", "uses", "erase_at"}
_ABOUT = {"consent_id", "pin"}
_REQUIRED = {
    ConsentAct.REQUEST: _ABOUT | {"full_name", "date_of_birth", "purpose", "fields"},
    ConsentAct.GIVE: _ABOUT | {"signer", "recipient", "purpose", "fields", "shown"},
    ConsentAct.REFUSE: _ABOUT | {"signer"},
    ConsentAct.RENEW: _ABOUT | {"signer", "version", "valid_until", "shown"},
    ConsentAct.PAUSE: _ABOUT | {"signer", "version"},
    ConsentAct.RESUME: _ABOUT | {"signer", "version"},
    ConsentAct.WITHDRAW: _ABOUT | {"signer"},
}
_OPTIONAL = {
    ConsentAct.REQUEST: _OPTIONAL_TERMS | {"answer_by"},
    ConsentAct.GIVE: _OPTIONAL_TERMS,
    ConsentAct.WITHDRAW: {"wait"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which consents are asked for: all of a person, or those for a purpose and fields."""

    pin: Pin
    purpose: str | None = None
    fields: frozenset[str] = frozenset()


def parse_demand(act: ConsentAct, body: bytes, *, asker: AgencyId, at: datetime) -> Demand:
    """The demand in a body; a recipient asks for itself. Raises `Problem` `MALFORMED_REQUEST`."""
    document = json_object(body)
    _check_keys(document, _REQUIRED[act], _OPTIONAL.get(act, set()))
    id_, pin = _consent_id(document["consent_id"]), _pin(document["pin"], "pin")
    match act:
        case ConsentAct.REQUEST:
            answer_by = _moment(document, "answer_by") or at + ANSWER_WITHIN
            return Request(
                id=id_,
                pin=pin,
                full_name=_name(document["full_name"]),
                date_of_birth=_day(document["date_of_birth"]),
                terms=_terms(document, recipient=asker),
                answer_by=answer_by,
            )
        case ConsentAct.GIVE:
            recipient = _agency(document["recipient"])
            return Give(
                id=id_,
                pin=pin,
                signer=_signer(document["signer"]),
                terms=_terms(document, recipient=recipient),
                shown=_hash(document["shown"]),
            )
        case _:
            return Alter(
                act=act,
                id=id_,
                pin=pin,
                signer=_signer(document["signer"]),
                version=_whole(document, "version") if "version" in document else None,
                valid_until=_moment(document, "valid_until"),
                shown=_hash(document["shown"]) if "shown" in document else None,
            )


def wants_fence(body: bytes) -> bool:
    """Whether a withdrawal's caller waits for its fence; raises `Problem`."""
    wait = json_object(body).get("wait", False)
    if not isinstance(wait, bool):
        _refuse("wait", "true or false")
    return wait


def parse_question(body: bytes) -> Question:
    """Whose consents are asked for; with `purpose` and `fields` whether one covers them."""
    document = json_object(body)
    _check_keys(document, {"pin"}, {"purpose", "fields"})
    if ("purpose" in document) != ("fields" in document):
        _refuse("purpose", "purpose and fields together, or neither")
    if "purpose" not in document:
        return Question(pin=_pin(document["pin"], "pin"))
    return Question(
        pin=_pin(document["pin"], "pin"),
        purpose=_purpose(document["purpose"]),
        fields=_fields(document["fields"]),
    )


def parse_consent_of(body: bytes) -> tuple[str, Pin]:
    """One consent and whose it is; raises `Problem`."""
    document = json_object(body)
    _check_keys(document, _ABOUT, set())
    return _consent_id(document["consent_id"]), _pin(document["pin"], "pin")


def _refuse(member: str, rule: str) -> NoReturn:
    raise Problem(Code.MALFORMED_REQUEST, member=member, rule=rule) from None


def _check_keys(document: Mapping[str, Any], required: set[str], optional: set[str]) -> None:
    if document.keys() - required - optional:
        _refuse("body", f"no members but {', '.join(sorted(required | optional))}")
    for name in sorted(required - document.keys()):
        _refuse(name, "is needed")


def _consent_id(value: Any) -> str:
    try:
        return str(UUID(value if isinstance(value, str) else ""))
    except ValueError:
        _refuse("consent_id", "a UUID")


def _pin(value: Any, member: str) -> Pin:
    try:
        return Pin(value if isinstance(value, str) else "")
    except InvalidIdentifier:
        _refuse(member, "12 digits")


def _agency(value: Any) -> AgencyId:
    try:
        return ids.agency_id(value if isinstance(value, str) else "")
    except InvalidIdentifier:
        _refuse("recipient", "an agency's id")


def _purpose(value: Any) -> str:
    try:
        return ids.dotted_id(value if isinstance(value, str) else "", what="purpose")
    except InvalidIdentifier:
        _refuse("purpose", "the id of a purpose: lower-case words joined by '.'")


def _signer(value: Any) -> Signer:
    if not isinstance(value, dict) or value.keys() != {"pin", "eid_level"}:
        _refuse("signer", "an object of pin and eid_level")
    level = _whole(value, "eid_level")
    if level not in {0, 1, 2}:
        _refuse("eid_level", "0, 1 or 2")
    return Signer(pin=_pin(value["pin"], "signer"), eid_level=level)


def _terms(document: Mapping[str, Any], *, recipient: AgencyId) -> Terms:
    return Terms(
        recipient=recipient,
        purpose=_purpose(document["purpose"]),
        fields=_fields(document["fields"]),
        valid_until=_moment(document, "valid_until"),
        uses=_uses(document.get("uses")),
        erase_at=_moment(document, "erase_at"),
    )


def _fields(value: Any) -> frozenset[str]:
    rule = f"a list of 1 to {MAX_FIELDS} fields, each <event type or view>:<path>"
    if not isinstance(value, list) or not 0 < len(value) <= MAX_FIELDS:
        _refuse("fields", rule)
    if not all(isinstance(name, str) and _FIELD.fullmatch(name) for name in value):
        _refuse("fields", rule)
    return frozenset(value)


def _uses(value: Any) -> Uses | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not {"count"} <= value.keys() <= {"count", "per"}:
        _refuse("uses", "an object of count and, where it is counted by period, per")
    count, per = _whole(value, "count"), value.get("per")
    if not 0 < count <= MAX_USES or per not in {None, *UsePeriod}:
        _refuse("uses", f"1 to {MAX_USES} uses; per {', '.join(UsePeriod)} or null")
    return Uses(count=count, per=per and UsePeriod(per))


def _whole(document: Mapping[str, Any], member: str) -> int:
    value = document[member]
    if type(value) is not int or not 0 <= value < 1 << 31:
        _refuse(member, "a whole number")
    return value


def _hash(value: Any) -> str:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        _refuse("shown", "the hash of the data agreement that was shown, 64 hex characters")
    return value


def _moment(document: Mapping[str, Any], member: str) -> datetime | None:
    value = document.get(member)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 2000 <= moment.year < 3000:
        _refuse(member, "a time with its zone, as in ISO 8601")
    return moment


def _day(value: Any) -> date:
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    _refuse("date_of_birth", "a day written YYYY-MM-DD")


def _name(value: Any) -> str:
    name = unicodedata.normalize("NFC", value).strip() if isinstance(value, str) else ""
    if not 0 < len(name) <= 128 or any(unicodedata.category(c)[0] == "C" for c in name):
        _refuse("full_name", "a text of 1 to 128 characters, none of them a control character")
    return name
