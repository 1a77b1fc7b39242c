"""Uses of counted consents in memory, with fault switches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from civicbus_consumers.consent.uses import Use
from civicbus_schemas.errors import Unavailable


@dataclass
class FakeReservations:
    """`fails`: raises and reserved nothing; `lies`: reserved and raises. `asked` counts calls."""

    fails: bool = False
    lies: bool = False
    asked: int = 0
    kept: set[tuple[str, str]] = field(default_factory=set)
    spent: Counter[tuple[str, str]] = field(default_factory=Counter)

    def reserve(self, uses: Sequence[Use]) -> frozenset[Use]:
        """As `Reservations` says."""
        self.asked += 1
        if self.fails:
            raise Unavailable("the registry does not answer")
        granted = frozenset([use for use in uses if self._has(use)])
        if self.lies:
            raise Unavailable("the answer was lost")
        return granted

    def _has(self, use: Use) -> bool:
        claim, period = (use.consent, use.claim), (use.consent, use.period)
        if claim in self.kept:
            return True
        if self.spent[period] >= use.allowed:
            return False
        self.spent[period] += 1
        self.kept.add(claim)
        return True
