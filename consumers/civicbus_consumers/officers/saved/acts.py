"""The values of saved queries: what is done to one, and how it is kept. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from civicbus_schemas.ids import AgencyId

from civicbus_consumers.officers.rules import Find, SavedRef


class Act(StrEnum):
    """What somebody does to saved queries."""

    SAVE = "save"
    LIST = "list"
    RUN = "run"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One act. `saved` names a query that is there; one that is saved without it is new."""

    act: Act
    saved: str | None = None
    title: str | None = None
    find: Find | None = None

    def document(self) -> dict[str, Any]:
        """One spelling, to be sealed and committed to."""
        find = None if self.find is None else self.find.document()
        members = {"act": self.act.value, "saved": self.saved, "title": self.title, "find": find}
        return {name: value for name, value in members.items() if value is not None}

    def __repr__(self) -> str:
        return f"Demand({self.act})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A saved query as it is kept; `owner` is a pseudonym, `sealed` opens with the owner's key."""

    ref: SavedRef
    agency: AgencyId
    owner: str
    at: datetime
    sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A saved query that was opened."""

    kept: Kept
    title: str
    find: Find

    def __repr__(self) -> str:
        return f"Saved({self.kept.ref})"
