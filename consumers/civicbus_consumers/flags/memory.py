"""What is remembered of the pages before: roll-ups of bounded size, each under a key. Pure.

All of it is integers, short texts and lists of them, so that it is kept as JSON. Times are seconds
since 1970; a person is remembered by the first half of the pseudonym, which is enough to count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from civicbus_consumers.flags.usual import DAY_S, Daily, Moment, Weekly, time_of

MAX_RECENT, MAX_DUTIES = 200, 64


@dataclass(slots=True)
class OfficerMemory:
    """What is remembered of one officer."""

    last: int = 0
    total: int = 0
    weekly: Weekly = field(default_factory=Weekly)
    explained: list[int] = field(default_factory=lambda: [0, 0])  # hour, readings explained in it
    unexplained: Daily = field(default_factory=Daily)
    recent: list[list[Any]] = field(default_factory=list)  # [time, person], nothing explained them
    refused: list[list[Any]] = field(default_factory=list)  # [time, person, purpose, not found?]
    cases: dict[str, list[str]] = field(default_factory=dict)  # case → people read for it today
    duties: dict[str, int] = field(default_factory=dict)
    raised: dict[str, int] = field(default_factory=dict)  # flag → day of the newest
    labels: dict[str, list[int]] = field(default_factory=dict)  # flag → [benign, confirmed]

    def forget_before(self, now: Moment) -> None:
        """Lists reach a day back and are of bounded length."""
        if self.unexplained.day != now.day:
            self.cases = {}
        start = now.seconds - DAY_S
        self.recent = [entry for entry in self.recent if entry[0] > start][-MAX_RECENT:]
        self.refused = [entry for entry in self.refused if entry[0] > start][-MAX_RECENT:]


@dataclass(slots=True)
class AgencyMemory:
    """What is remembered of an agency's officers together."""

    weekly: Weekly = field(default_factory=Weekly)
    unexplained: Daily = field(default_factory=Daily)  # of one officer on one day


@dataclass(slots=True)
class Trace:
    """One number under a key: a time of contact, of a closing, or a position."""

    value: int = 0


@dataclass(slots=True)
class Flagged:
    """Whose flag it is, and what it was labelled last."""

    agency: str = ""
    officer: str = ""
    label: str = ""


@dataclass(slots=True)
class Pending:
    """What must happen in time: pages to be released, emergencies to be reviewed.

    `pages`: chain → sequence → [due, record, agency]; `emergencies`: record → [due, agency,
    officer, subject]. `late`: flag → [what, of whom, sequence, due], raised for want of it, until
    it comes or nobody waits for it any more.
    """

    now: int = 0
    pages: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    emergencies: dict[str, list[Any]] = field(default_factory=dict)
    late: dict[str, list[Any]] = field(default_factory=dict)


Document = OfficerMemory | AgencyMemory | Trace | Flagged | Pending
KINDS: Mapping[str, type[Document]] = {
    "officer": OfficerMemory,
    "agency": AgencyMemory,
    "contact": Trace,
    "recorder": Trace,
    "case": Trace,
    "consent": Trace,
    "flag": Flagged,
    "pending": Pending,
}
LIVES = {
    "officer": timedelta(days=400),
    "agency": timedelta(days=400),
    "contact": timedelta(days=30),
    "recorder": timedelta(days=30),
    "case": timedelta(days=400),
    "consent": timedelta(days=400),
    "flag": timedelta(days=400),
}
"""How long what lies under a kind of key is remembered after it was touched.

Only what is pending, one document, has no end. A consent counts from its last refusal: whoever
reads under one that nobody has asked for since then is held up by access alone, and not flagged.
"""

PENDING = "pending/"
_D = TypeVar("_D", bound=Document)


class Memory:
    """The documents that a batch may need: given with their keys, changed in place."""

    def __init__(self, documents: dict[str, Document] | None = None) -> None:
        self.documents = documents or {}
        self.touched: set[str] = set()

    def officer(self, officer: str) -> OfficerMemory:
        """What is remembered of this officer."""
        return self._get(OfficerMemory, f"officer/{officer}")

    def agency(self, agency: str) -> AgencyMemory:
        """What is remembered of this agency."""
        return self._get(AgencyMemory, f"agency/{agency}")

    def flag(self, flag: str) -> Flagged:
        """What is remembered of a flag."""
        return self._get(Flagged, f"flag/{flag}")

    def remember_flag(self, flag: str, *, agency: str, officer: str) -> None:
        """Remember whom a flag is about."""
        remembered = self.flag(flag)
        remembered.agency, remembered.officer = agency, officer

    def pending(self) -> Pending:
        """What must happen in time."""
        return self._get(Pending, PENDING)

    @property
    def now(self) -> datetime:
        """How far time has come on the topic."""
        return time_of(self.pending().now)

    def note(self, key: str, value: int) -> None:
        """Remember a number."""
        self._get(Trace, key).value = value

    def noted(self, key: str) -> int | None:
        """The number under a key, if one is remembered."""
        trace = self.documents.get(key)
        return trace.value if isinstance(trace, Trace) else None

    def _get(self, kind: type[_D], key: str) -> _D:
        self.touched.add(key)
        document = self.documents.get(key)
        if isinstance(document, kind):
            return document
        new = kind()
        self.documents[key] = new
        return new


def to_json(document: Document) -> dict[str, Any]:
    """As the store keeps it; its lists are the document's own, since copying them takes longest."""
    return {f.name: _plain(getattr(document, f.name)) for f in fields(document)}


def _plain(value: Any) -> Any:
    return {f.name: getattr(value, f.name) for f in fields(value)} if is_dataclass(value) else value


def from_json(key: str, body: Mapping[str, Any]) -> Document:
    """The inverse of `to_json`; the key says which kind it is."""
    kind = KINDS[key.partition("/")[0]]
    inner = {"weekly": Weekly, "unexplained": Daily}
    return kind(**{name: inner[name](**v) if name in inner else v for name, v in body.items()})


def lives_until(key: str, at: datetime) -> datetime | None:
    """When what lies under this key is forgotten unless it is touched again."""
    life = LIVES.get(key.partition("/")[0])
    return None if life is None else at + life
