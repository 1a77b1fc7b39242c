"""What rules take and give: a page as it was told, and the flags that it comes to. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from civicbus_schemas.page import PageHeader
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import RecordKind

from civicbus_consumers.flags.words import Closing, Explanation, Flag, Label, flag_id


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTold:
    """A page of the topic: its header and its records that can be read; `at` is the broker's."""

    at: datetime
    header: PageHeader
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A flag: what is odd about which record, what speaks for it, and how much remains."""

    flag: Flag
    record: str
    at: datetime
    raised_at: datetime
    agency: str
    officer: str | None
    subject: str | None
    score: int
    explanations: tuple[Explanation, ...] = ()
    count: int | None = None
    usual: float | None = None
    reference: str = ""

    @property
    def id(self) -> str:
        """Of its word and its record."""
        return flag_id(self.flag, self.record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """What an officer of oversight made of a flag, by the record that says so."""

    flag: str
    label: Label
    record: str
    at: datetime
    by: str | None


@dataclass(slots=True)
class Folded:
    """What a run of pages comes to; `recorded` names flags and whether raised or closed."""

    raised: list[Finding] = field(default_factory=list)
    closed: list[tuple[str, Closing, datetime]] = field(default_factory=list)
    labelled: list[Labelled] = field(default_factory=list)
    recorded: set[tuple[str, RecordKind]] = field(default_factory=set)
    readings: int = 0
