"""The values of casework: what is done to a case, and how it stands. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, assert_never

from civicbus_schemas.ids import AgencyId, RecordId


class Act(StrEnum):
    """What somebody does to a case; `LIST` looks at all of an agency."""

    OPEN = "open"
    ASSIGN = "assign"
    LINK = "link"
    NOTE = "note"
    CLOSE = "close"
    LIST = "list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One act. `case` is 32 hex characters that its opener chose; `text` is title, note or reason.

    `assignee` is an official's name; `record` the id of a leaf.
    """

    act: Act
    case: str | None = None
    text: str | None = None
    assignee: str | None = None
    record: RecordId | None = None

    def document(self) -> dict[str, Any]:
        """One spelling, to be sealed and committed to."""
        members = {"case": self.case, "text": self.text, "assignee": self.assignee}
        members |= {"act": self.act.value, "record": self.record}
        return {name: value for name, value in members.items() if value is not None}

    def __repr__(self) -> str:
        return f"Demand({self.act})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """How a case stands; officials are pseudonyms of the ledger."""

    id: str
    agency: AgencyId
    opened_by: str
    opened_at: datetime
    assignee: str | None = None
    closed_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether anything may still be done to it."""
        return self.closed_at is None

    def after(self, act: Act, *, assignee: str | None, at: datetime) -> Case:
        """How it stands after an act that was accepted."""
        match act:
            case Act.ASSIGN:
                return replace(self, assignee=assignee)
            case Act.CLOSE:
                return replace(self, closed_at=at)
            case Act.OPEN | Act.LINK | Act.NOTE | Act.LIST:
                return self
            case _:
                assert_never(act)


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """The leaf of a record that is to be linked: its kind, and who was given data by it."""

    kind: str
    recipient: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One act as a case's file tells it: when, in which record, by whom, and what was said.

    `by` is the ledger's pseudonym of the official, `officer` the name.
    """

    act: Act
    at: datetime
    record_id: RecordId
    by: str
    officer: str
    told: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Entry({self.act})"


KeysOf = Callable[[Collection[str]], Mapping[str, bytes]]
"""The sealing keys of those cases whose secret the vault still has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A case with all that was done to it, in order."""

    case: Case
    entries: tuple[Entry, ...]
