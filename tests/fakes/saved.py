"""Saved queries in memory, with fault switches."""

from __future__ import annotations

from dataclasses import dataclass, field

from civicbus_consumers.officers.saved.acts import Kept
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.ids import AgencyId


@dataclass
class FakeSaved:
    """`fails`: no call succeeds; `fails_to_keep`: reading succeeds, keeping does not."""

    fails: bool = False
    fails_to_keep: bool = False
    kept: dict[str, Kept] = field(default_factory=dict)

    def find(self, id_: str) -> Kept | None:
        """The newest version of a query."""
        self._check(self.fails)
        return self.kept.get(id_)

    def count(self, owner: str) -> int:
        """How many queries an official keeps."""
        self._check(self.fails)
        return sum(one.owner == owner for one in self.kept.values())

    def of(self, agency: AgencyId, owner: str | None) -> tuple[Kept, ...]:
        """The newest queries of an agency, of one owner where one is named."""
        self._check(self.fails)
        mine = [one for one in self.kept.values() if one.agency == agency]
        mine.sort(key=lambda one: one.ref.id)
        mine.sort(key=lambda one: one.at, reverse=True)
        return tuple(one for one in mine if owner in (None, one.owner))

    def keep(self, kept: Kept) -> None:
        """Keep a query in place of its version before."""
        self._check(self.fails or self.fails_to_keep)
        self.kept[kept.ref.id] = kept

    def drop(self, id_: str) -> None:
        """Forget a query."""
        self._check(self.fails or self.fails_to_keep)
        self.kept.pop(id_, None)

    def _check(self, fails: bool) -> None:
        if fails:
            raise Unavailable("the database does not answer")
