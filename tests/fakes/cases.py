"""Cases in memory, with fault switches."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from civicbus_consumers.officers.casework.acts import Case, Entry, File, KeysOf
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.ids import AgencyId


@dataclass
class FakeCases:
    """`fails`: no call succeeds; `fails_to_keep`: reading succeeds, keeping does not."""

    fails: bool = False
    fails_to_keep: bool = False
    keys: dict[str, bytes] = field(default_factory=dict)
    kept: dict[str, tuple[Case, list[Entry]]] = field(default_factory=dict)

    def find(self, id_: str) -> Case | None:
        """How a case stands."""
        self._check(self.fails)
        return self.kept[id_][0] if id_ in self.kept else None

    def count_acts(self, id_: str) -> int:
        """How many acts a case holds."""
        self._check(self.fails)
        return len(self.kept[id_][1]) if id_ in self.kept else 0

    def count_open(self, agency: AgencyId) -> int:
        """How many cases of an agency are open."""
        self._check(self.fails)
        return sum(case.agency == agency and case.is_open for case, _ in self.kept.values())

    def keep(self, after: Case, entry: Entry, *, key: bytes) -> None:
        """Keep an act, and how the case stands after it."""
        self._check(self.fails or self.fails_to_keep)
        self.keys[after.id] = key
        _, entries = self.kept.get(after.id, (after, []))
        self.kept[after.id] = after, [*entries, entry]

    def files(self, agency: AgencyId, keys_of: KeysOf) -> tuple[File, ...]:
        """The newest cases of an agency."""
        self._check(self.fails)
        mine = [one for one in self.kept.values() if one[0].agency == agency]
        newest = sorted(mine, key=lambda one: one[0].id)
        newest.sort(key=lambda one: one[0].opened_at, reverse=True)
        keys = keys_of([case.id for case, _ in newest])
        return tuple(
            File(
                case=case,
                entries=tuple(
                    one
                    if keys.get(case.id) == self.keys[case.id]
                    else replace(one, officer="", told={})
                    for one in entries
                ),
            )
            for case, entries in newest
        )

    def _check(self, fails: bool) -> None:
        if fails:
            raise Unavailable("the database does not answer")
