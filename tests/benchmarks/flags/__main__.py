"""`python -m tests.benchmarks.flags`: recall and flags per 1,000 readings, on the synthetic set.

Weights and thresholds were chosen on the seeds 1 and 10 to 29; the figures that count are those of
the other seeds. The last table says what the best of all rankers would find.
"""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table

from tests.benchmarks.flags.abuse import KINDS
from tests.benchmarks.flags.bound import count_twins, most_found
from tests.benchmarks.flags.measuring import Measured, measure
from tests.benchmarks.flags.pages import build_set

CHOSEN_ON = (1, *range(10, 30))
REPORTED_ON = tuple(range(2, 10))
BUDGETS = (3, 4, 5, 10, 20, 50)


def main() -> int:
    """Measure every seed; a table of seeds, and one of kinds over the reported seeds."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.flags", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=REPORTED_ON)
    options = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=110)
    found, twins = dict[int, Measured](), dict[int, int]()
    for seed in options.seeds:
        made = build_set(seed)
        found[seed], twins[seed] = measure(made), count_twins(made)
    console.print(_by_seed(found))
    reported = [seed for seed in found if seed not in CHOSEN_ON] or list(found)
    console.print(_by_kind([found[seed] for seed in reported]))
    console.print(_at_best([(found[seed], twins[seed]) for seed in reported]))
    return 0


def _by_seed(found: dict[int, Measured]) -> Table:
    table = Table(
        "seed", "readings", "flags", "per 1,000", "precision", "recall", "with unseen", "s"
    )
    for seed, m in found.items():
        table.add_row(
            f"{seed} (chosen on)" if seed in CHOSEN_ON else str(seed),
            f"{m.readings:,}",
            str(m.flags),
            f"{m.per_thousand:.2f}",
            f"{m.precision:.2f}",
            f"{m.recall():.3f}",
            f"{m.recall(with_unseen=True):.3f}",
            f"{m.seconds:.1f}",
        )
    return table


def _by_kind(measured: list[Measured]) -> Table:
    table = Table("kind", "episodes", "found", "readings until found")
    for kind in KINDS:
        until = [m.readings_until_found[kind] for m in measured if kind in m.readings_until_found]
        table.add_row(
            kind,
            str(sum(m.seeded.get(kind, 0) for m in measured)),
            str(sum(m.found.get(kind, 0) for m in measured)),
            f"{sum(until) / len(until):.1f}" if until else "-",
        )
    wrong = sorted({flag for m in measured for flag in m.false})
    for flag in wrong:
        table.add_row(f"wrong: {flag}", "", str(sum(m.false.get(flag, 0) for m in measured)), "")
    return table


def _at_best(measured: list[tuple[Measured, int]]) -> Table:
    table = Table("flags per 1,000", "recall with unseen, at most", "twins of unseen, a seed")
    twins = sum(count for _, count in measured) / len(measured)
    for budget in BUDGETS:
        most = [most_found(m, count, per_thousand=budget) for m, count in measured]
        table.add_row(str(budget), f"{sum(most) / len(most):.3f}", f"{twins:,.0f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
