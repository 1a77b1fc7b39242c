"""A look-up's request, read strictly: what is missing, unknown, too long or of another form refuses
it. Pure. An error names the member and its rule, never what was written there.

    {"officer", "full_name", "date_of_birth", "pin", "purpose", "case",
     "mode": "read", "fields": [path, …]}            or
    {…, "mode": "verify", "claims": {path: value, …}}

and, where a life depends on it, `"break_glass": "why"`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NoReturn

from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.ids import Pin, dotted_id

from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.problems import Problem

MAX_BODY_BYTES = 16 * 1024
MAX_FIELDS = 64
MAX_TEXT = 256

_TEXT_LIMITS = {"officer": 64, "full_name": 128, "case": 128, "break_glass": 256}
_SUBJECT = ("full_name", "date_of_birth", "pin")
_COMMON = {"officer", *_SUBJECT, "purpose", "case", "mode"}
_OPTIONAL = {"break_glass"}
PATH = re.compile(r"[a-z][a-z0-9_]{0,63}(\[\])?(\.[a-z][a-z0-9_]{0,63}(\[\])?){0,7}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EXACT = 1 << 53  # whole numbers that every JSON reader holds exactly (RFC 8785)

Claim = str | int | bool | None


class Mode(StrEnum):
    """Whether values are returned, or claims about them answered with true or false."""

    READ = "read"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupRequest:
    """What an officer asks about one person. Texts are in NFC; `claims` is empty when reading.

    `break_glass` is the reason why a life depends on it, where the officer says that one does.
    """

    officer: str
    full_name: str
    date_of_birth: date
    pin: Pin
    purpose: str
    case: str
    mode: Mode
    fields: tuple[str, ...]
    claims: Mapping[str, Claim]
    break_glass: str | None = None

    @property
    def breaks_glass(self) -> bool:
        """Whether it asks under an agreement for emergencies, and under no other."""
        return self.break_glass is not None

    def __repr__(self) -> str:
        return f"LookupRequest({self.mode}, …)"


def parse_request(body: bytes) -> LookupRequest:
    """The request in a body; raises `Problem` with `MALFORMED_REQUEST` or `TOO_LARGE`.

    The person is named by full name, date of birth and PIN, all three (Decree 70/2024 Art 10).
    """
    if len(body) > MAX_BODY_BYTES:
        raise Problem(Code.TOO_LARGE, limit_bytes=MAX_BODY_BYTES)
    document = json_object(body)
    _check_keys(document)
    mode = _mode(document["mode"])
    _check_keys(document, extra="fields" if mode is Mode.READ else "claims")
    claims = _claims(document["claims"]) if mode is Mode.VERIFY else {}
    return LookupRequest(
        officer=_text(document, "officer"),
        full_name=_text(document, "full_name"),
        date_of_birth=_day(document["date_of_birth"]),
        pin=_pin(document["pin"]),
        purpose=_purpose(document["purpose"]),
        case=_text(document, "case"),
        mode=mode,
        fields=tuple(claims) if mode is Mode.VERIFY else _fields(document["fields"]),
        claims=MappingProxyType(claims),
        break_glass=_text(document, "break_glass") if "break_glass" in document else None,
    )


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; raises `Problem` with `MALFORMED_REQUEST`."""
    try:
        document = json.loads(body, object_pairs_hook=_distinct, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        _refuse("body", "one JSON object (UTF-8), no key twice")
    return document


def _refuse(member: str, rule: str) -> NoReturn:
    raise Problem(Code.MALFORMED_REQUEST, member=member, rule=rule) from None


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a key stands twice")
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _check_keys(document: Mapping[str, Any], extra: str | None = None) -> None:
    allowed = _COMMON | _OPTIONAL | ({extra} if extra else {"fields", "claims"})
    if document.keys() - allowed:
        _refuse("body", f"no members but {', '.join(sorted(allowed))}")
    missing = [name for name in _SUBJECT if name not in document]
    if missing:
        _refuse(missing[0], "full_name, date_of_birth and pin are needed together")
    required = _COMMON | ({extra} if extra else set())
    for name in sorted(required - document.keys()):
        _refuse(name, "is needed")


def _mode(value: Any) -> Mode:
    if not isinstance(value, str) or value not in list(Mode):
        _refuse("mode", "read or verify")
    return Mode(value)


def _text(document: Mapping[str, Any], name: str) -> str:
    limit = _TEXT_LIMITS[name]
    rule = f"a text of 1 to {limit} characters, none of them a control character"
    return _printable(document[name], name, limit=limit, rule=rule)


def _printable(value: Any, name: str, *, limit: int, rule: str) -> str:
    if not isinstance(value, str) or len(value) > limit:
        _refuse(name, rule)
    text = unicodedata.normalize("NFC", value).strip()
    if not text or any(unicodedata.category(character)[0] == "C" for character in text):
        _refuse(name, rule)
    return text


def _day(value: Any) -> date:
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    _refuse("date_of_birth", "a day written YYYY-MM-DD")


def _pin(value: Any) -> Pin:
    try:
        return Pin(value if isinstance(value, str) else "")
    except InvalidIdentifier:
        _refuse("pin", "12 digits")


def _purpose(value: Any) -> str:
    try:
        return dotted_id(value if isinstance(value, str) else "", what="purpose")
    except InvalidIdentifier:
        _refuse("purpose", "the id of a purpose: lower-case words joined by '.'")


def _fields(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_FIELDS:
        _refuse("fields", f"a list of 1 to {MAX_FIELDS} paths")
    for path in value:
        _check_path(path, "fields")
    if len(set(value)) < len(value):
        _refuse("fields", "no path twice")
    return tuple(value)


def _claims(value: Any) -> dict[str, Claim]:
    if not isinstance(value, dict) or not 0 < len(value) <= MAX_FIELDS:
        _refuse("claims", f"an object of 1 to {MAX_FIELDS} paths with the values claimed")
    for path in value:
        _check_path(path, "claims")
    return {path: _claim(claimed) for path, claimed in value.items()}


def _check_path(path: Any, member: str) -> None:
    if not isinstance(path, str) or not PATH.fullmatch(path):
        _refuse(member, "paths of fields such as full_name")


def _claim(value: Any) -> Claim:
    rule = f"a text of 1 to {MAX_TEXT} characters, a whole number, true, false or null"
    match value:
        case None | bool():
            return value
        case int() if -_EXACT < value < _EXACT:
            return value
        case _:
            return _printable(value, "claims", limit=MAX_TEXT, rule=rule)
