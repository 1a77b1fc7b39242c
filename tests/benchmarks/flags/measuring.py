"""What flags are worth on a set: which episodes were found, and how much else was flagged."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from dataclasses import dataclass

from civicbus_consumers.flags.findings import Finding
from civicbus_consumers.flags.memory import Memory
from civicbus_consumers.flags.reference import read_reference
from civicbus_consumers.flags.rules import fold

from tests.benchmarks.flags.abuse import UNSEEN
from tests.benchmarks.flags.pages import Set


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """`found` and `seeded` count episodes by kind; `false` counts flags on honest readings."""

    readings: int
    flags: int
    seconds: float
    seeded: dict[str, int]
    found: dict[str, int]
    readings_until_found: dict[str, float]
    false: dict[str, int]

    @property
    def per_thousand(self) -> float:
        """All flags per thousand readings, right ones and wrong ones."""
        return 1000 * self.flags / self.readings

    @property
    def precision(self) -> float:
        """The share of flags that are on seeded readings."""
        return 1 - sum(self.false.values()) / self.flags

    def recall(self, *, with_unseen: bool = False) -> float:
        """The share of episodes that were found; without the kind that cannot be told, or with."""
        kinds = [kind for kind in self.seeded if with_unseen or kind != UNSEEN]
        return sum(self.found.get(k, 0) for k in kinds) / sum(self.seeded[k] for k in kinds)


def measure(made: Set) -> Measured:
    """Fold the whole set, then hold what was raised against the truth."""
    reference = read_reference(json.dumps(made.reference).encode())
    started = time.monotonic()
    folded = fold(made.pages, Memory(), reference)
    seconds = time.monotonic() - started
    return held_against(made, folded.raised, readings=folded.readings, seconds=seconds)


def held_against(made: Set, raised: list[Finding], *, readings: int, seconds: float) -> Measured:
    """Episodes whose readings were flagged, and flags on honest readings."""
    flagged = {finding.record for finding in raised}
    episodes: dict[tuple[str, int], list[str]] = defaultdict(list)
    for page in made.pages:
        for record in page.records:
            if (seed := made.seeds.get(str(record.id))) is not None:
                episodes[seed].append(str(record.id))
    seeded, found = Counter(kind for kind, _ in episodes), Counter[str]()
    until: dict[str, list[int]] = defaultdict(list)
    for (kind, _), records in episodes.items():
        first = next((n for n, record in enumerate(records, 1) if record in flagged), None)
        if first is not None:
            found[kind] += 1
            until[kind].append(first)
    false = Counter(f.flag.value for f in raised if f.record not in made.seeds)
    return Measured(
        readings=readings,
        flags=len(raised),
        seconds=round(seconds, 2),
        seeded=dict(seeded),
        found=dict(found),
        readings_until_found={k: sum(v) / len(v) for k, v in until.items()},
        false=dict(false),
    )
