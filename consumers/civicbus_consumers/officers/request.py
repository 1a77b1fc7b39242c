"""A question, read strictly: what is missing, unknown, reversed, too long or too wide refuses it.

    {"purpose": "oversight.complaint", "case": "TT-2026/7",
     "find": {"pin", "agency", "officer", "case", "record", "purpose", "basis", "dataset",
              "decision", "flag", "since", "until"},
     "limit": 50, "cursor": "…"}

Pure. An error names the member and its rule, never what was written there.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.ids import Pin, agency_id, dotted_id, event_type, hex_id
from civicbus_schemas.vocabulary import Outcome

from civicbus_consumers.flags.words import Flag
from civicbus_consumers.lookup.request import json_object
from civicbus_consumers.officers.problems import malformed
from civicbus_consumers.officers.rules import Find, QueryPurpose, Question

MAX_BODY_BYTES = 8 * 1024
MAX_LIMIT = 200
DEFAULT_LIMIT = 50
MAX_RANGE = timedelta(days=366)
MAX_TEXT = 128
MAX_CURSOR = 512

_CONSENT = re.compile(r"[0-9A-Za-z-]{1,64}")
_MEMBERS = {"purpose", "case", "find", "limit", "cursor"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, how many rows are wanted, and where a former answer ended."""

    question: Question
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None


def parse_asked(body: bytes) -> Asked:
    """The question in a JSON body; raises `Problem` with `malformed-query`."""
    return _parse(body, _MEMBERS)


def parse_export(body: bytes) -> Question:
    """What a bundle is asked for: a question without `limit` and `cursor`; raises `Problem`."""
    question = _parse(body, _MEMBERS - {"limit", "cursor"}).question
    if question.find.flag is not None:
        raise malformed(
            "find.flag",
            got="a flag",
            expected="none: a bundle is read from the leaves, and a flag is another leaf",
            next_step="ask for it as a question",
        )
    return question


def _parse(body: bytes, members: set[str]) -> Asked:
    document = json_object(body)
    only(document, members, where="body")
    find = document.get("find", {})
    if not isinstance(find, dict):
        raise _wrong("find", find, "an object of what to look for")
    return asked_of(document, parse_find(find))


def asked_of(document: Mapping[str, Any], find: Find) -> Asked:
    """The question of a body that looks for this; raises `Problem`."""
    limit = document.get("limit", DEFAULT_LIMIT)
    if type(limit) is not int or not 0 < limit <= MAX_LIMIT:
        raise _wrong("limit", limit, f"a whole number from 1 to {MAX_LIMIT}")
    cursor = document.get("cursor")
    if cursor is not None and (not isinstance(cursor, str) or len(cursor) > MAX_CURSOR):
        raise _wrong("cursor", cursor, "the cursor of an answer, as it was")
    return Asked(
        question=Question(
            find=find,
            purpose=_purpose(document),
            case=parse_text("case", document["case"]) if document.get("case") is not None else None,
        ),
        limit=limit,
        cursor=cursor,
    )


def parse_unread(body: bytes) -> str | None:
    """The consent whose deliveries are asked about, None for all; raises `Problem`."""
    document = json_object(body)
    only(document, {"consent"}, where="body")
    consent = document.get("consent")
    if consent is None:
        return None
    if not isinstance(consent, str) or not _CONSENT.fullmatch(consent):
        raise _wrong("consent", consent, "a consent's id, as a receipt names it")
    return consent


def parse_find(document: Mapping[str, Any]) -> Find:
    """What to look for; raises `Problem`."""
    only(document, set(_READERS), where="find")
    found = Find(**{name: _READERS[name](name, value) for name, value in document.items()})
    for name in ("officer", "case"):
        if getattr(found, name) is not None and found.agency is None:
            raise malformed(
                f"find.{name}",
                got="no agency",
                expected="find.agency beside it: an agency knows its officers and cases by it",
                next_step="name the agency",
            )
    if found.since and found.until:
        _check_range(found.until - found.since)
    return found


def _check_range(length: timedelta) -> None:
    if length <= timedelta():
        raise malformed(
            "find.until",
            got="an end that is not after find.since",
            expected="since before until",
            next_step="exchange them",
        )
    if length > MAX_RANGE:
        raise malformed(
            "find.until",
            got=f"{length.days} days",
            expected=f"at most {MAX_RANGE.days} days",
            next_step="ask for one year after the other",
        )


def _purpose(document: Mapping[str, Any]) -> QueryPurpose:
    value = document.get("purpose")
    if not isinstance(value, str) or value not in list(QueryPurpose):
        raise _wrong("purpose", value, f"one of {', '.join(QueryPurpose)}")
    return QueryPurpose(value)


def parse_text(name: str, value: Any) -> str:
    """A text of one line in its one spelling; raises `Problem`."""
    rule = f"a text of 1 to {MAX_TEXT} characters, none of them a control character"
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _wrong(name, value, rule)
    text = unicodedata.normalize("NFC", value).strip()
    if not text or any(unicodedata.category(character)[0] == "C" for character in text):
        raise _wrong(name, value, rule)
    return text


def _identified(make: Callable[[str], Any], rule: str) -> Callable[[str, Any], Any]:
    def read(name: str, value: Any) -> Any:
        try:
            return make(value if isinstance(value, str) else "")
        except (InvalidIdentifier, ValueError):
            raise _wrong(f"find.{name}", value, rule) from None

    return read


def _time(value: str) -> datetime:
    time = datetime.fromisoformat(value)
    if time.tzinfo is None or not 1900 <= time.year < 9000:
        raise ValueError(value)
    return time


_word = _identified(lambda value: dotted_id(value, what="word"), "lower-case words joined by '.'")
_moment = _identified(_time, "ISO 8601 with its zone, such as 2026-11-22T09:00:00+07:00")
_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "pin": _identified(Pin, "12 digits"),
    "agency": _identified(agency_id, "an agency's id"),
    "officer": lambda name, value: parse_text(f"find.{name}", value),
    "case": lambda name, value: parse_text(f"find.{name}", value),
    "record": _identified(lambda value: hex_id(value, what="record"), "32 hex characters"),
    "purpose": _word,
    "basis": _word,
    "dataset": _identified(event_type, "a type such as civil-status.BirthRegistered"),
    "decision": _identified(Outcome, f"one of {', '.join(Outcome)}"),
    "flag": _identified(Flag, f"one of {', '.join(Flag)}"),
    "since": _moment,
    "until": _moment,
}


def only(document: Mapping[str, Any], allowed: set[str], *, where: str) -> None:
    """Checks that there are no other members; raises `Problem`."""
    if document.keys() - allowed:
        raise malformed(
            where,
            got="a member that is not known",
            expected=f"no members but {', '.join(sorted(allowed))}",
            next_step="leave it out; what is not known is never passed over",
        )


def _wrong(member: str, value: Any, rule: str) -> Exception:
    got = f"{len(value)} characters" if isinstance(value, str) else type(value).__name__
    return malformed(
        member,
        got="nothing" if value is None else got,
        expected=rule,
        next_step=f"fill in {member}" if value is None else f"correct {member}",
    )


def canonical(question: Question) -> bytes:
    """One spelling of a question, to be sealed and to be hashed."""
    document: dict[str, Any] = {
        "purpose": question.purpose.value,
        "case": question.case,
        "find": question.find.document(),
    }
    if question.saved is not None:
        document["saved"] = str(question.saved)
    if (approval := question.approval) is not None:
        by = {"agency": approval.by.agency, "officer": approval.by.name}
        document["approved_by"], document["reason"] = by, approval.reason
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
