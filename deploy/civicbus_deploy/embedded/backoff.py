"""When a process that died is started again: pure, so that it can be read and tested."""

from __future__ import annotations

from dataclasses import dataclass, replace

FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 30.0
STEADY_AFTER_S = 60.0
TROUBLED_AT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How often a process has died lately; a life of a minute wipes the slate."""

    deaths: int = 0

    def after_death(self, *, lived_s: float) -> Backoff:
        """One more death after a life of `lived_s`."""
        return replace(self, deaths=1 if lived_s >= STEADY_AFTER_S else self.deaths + 1)

    @property
    def delay_s(self) -> float:
        """How long to wait before the next start: doubling, up to half a minute."""
        if not self.deaths:
            return 0.0
        return float(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(self.deaths - 1, 10)))

    @property
    def troubled(self) -> bool:
        """Whether it dies again and again, so that somebody should read its log."""
        return self.deaths >= TROUBLED_AT
