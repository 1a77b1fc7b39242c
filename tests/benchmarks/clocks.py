"""Clocks and ratios: CPU and wall, per thing done, over interleaved rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Clocks:
    """A moment on both clocks; CPU is this process's, all its threads."""

    cpu_s: float
    wall_s: float

    @classmethod
    def now(cls) -> Clocks:
        """This moment."""
        return cls(time.process_time(), time.perf_counter())

    def since(self, begun: Clocks, *, events: int) -> dict[str, Any]:
        """What passed, as a round that can be written down."""
        cpu_s, wall_s = self.cpu_s - begun.cpu_s, self.wall_s - begun.wall_s
        return {"events": events, "cpu_s": cpu_s, "wall_s": wall_s}


@dataclass
class Series:
    """The rounds of one path, in the order in which they were run."""

    name: str
    rounds: list[dict[str, Any]] = field(default_factory=list)

    def cpu_us(self) -> list[float]:
        """µs of CPU per event, round by round."""
        return [1e6 * r["cpu_s"] / r["events"] for r in self.rounds]

    def rates(self) -> list[float]:
        """Events per second, round by round."""
        return [r["events"] / r["wall_s"] for r in self.rounds]


def ratio(
    ours: Sequence[float], bare: Sequence[float], *, best: Callable[[Sequence[float]], float] = min
) -> dict[str, float]:
    """Ours over bare: of the best rounds, and of the medians."""
    return {
        "of_bests": best(ours) / best(bare),
        "of_medians": statistics.median(ours) / statistics.median(bare),
    }


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which `percent` of 100 lie."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
