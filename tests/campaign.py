"""The rounds of a crash test: one in the tiers, hundreds in `make campaign`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

TOLD_EACH_S = 15.0


@dataclass(frozen=True, slots=True)
class Rounds:
    """So many rounds; iterating counts them, and tells their rate and the time that is left."""

    count: int
    tell: Callable[[str], None]

    def times(self, each: int, *, least: int) -> Rounds:
        """More of what takes little time: so many in each round, and never fewer than `least`."""
        return Rounds(max(least, each * self.count), self.tell)

    def __iter__(self) -> Iterator[int]:
        begun = told = time.monotonic()
        for number in range(self.count):
            now = time.monotonic()
            if number and now - told > TOLD_EACH_S:
                told, each_s = now, (now - begun) / number
                left_s = each_s * (self.count - number)
                rate = f"{60 / each_s:.1f} a minute, {left_s / 60:.1f} minutes left"
                self.tell(f"{number} of {self.count} rounds, {rate}")
            yield number
