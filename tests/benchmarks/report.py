"""The table that people read: every ratio with its target, both sides with minimum and median."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from tests.benchmarks import scale
from tests.benchmarks.clocks import Series, percentile, ratio

MEMORY_TARGET_MIB = 3 * 1024


def table(results: dict[str, Any]) -> Iterator[Table | Text]:
    """The machine, then one line a row of the targets."""
    yield _machine(results["machine"])
    shown = Table(title="ratios of one run; each side: best | median of the rounds")
    for column in ("row", "what", "ours", "bare", "ratio of bests", "of medians", "target"):
        shown.add_column(column)
    for part in (_release, _scale, _lookups, _fences, _memory):
        for line in part(results):
            shown.add_row(*line)
    yield shown


def _machine(machine: dict[str, Any]) -> Text:
    return Text(
        f"{machine['at']} · {machine['cpu']}, {machine['cores']} cores,"
        f" {machine['memory_gib']} GiB · {machine['python']} · commit {machine['commit']}"
        f" (+{machine['changed_files']} changed files)"
        f" · load {machine['load']} → {machine['load_after']}, {machine['stolen_percent']} % stolen"
    )


def _release(results: dict[str, Any]) -> Iterator[Sequence[str]]:
    for name, paths in results["release"].items():
        series = {path: Series(path, rounds) for path, rounds in paths.items()}
        alone = series["alone"].cpu_us()
        copy = series.get("copy")
        if copy is None:
            yield ("1", f"release path alone, {name}: CPU", _us(alone), "", "", "", "")
            continue
        ours = series["enforcement"]
        what = f"{name} nation, to 3 recipients"
        yield _line("1", f"{what}: CPU", (ours.cpu_us(), copy.cpu_us()), unit=_us, target="≤ 4")
        yield _line("1", f"{what}: CPU, no broker", (alone, copy.cpu_us()), unit=_us, target="")
        rates = ours.rates(), copy.rates()
        yield _line("16", f"{what}: rate", rates, unit=_rate, target="≥ 0.6", best=max)


def _scale(results: dict[str, Any]) -> Iterator[Sequence[str]]:
    yield from scale.lines(results["scale"])


def _line(
    row: str,
    what: str,
    sides: tuple[list[float], list[float]],
    *,
    unit: Any,
    target: str,
    best: Any = min,
) -> Sequence[str]:
    ours, bare = sides
    found = ratio(ours, bare, best=best)
    return (
        *(row, what, unit(ours, best), unit(bare, best)),
        *(f"{found['of_bests']:.2f}", f"{found['of_medians']:.2f}", target),
    )


def _lookups(results: dict[str, Any]) -> Iterator[Sequence[str]]:
    for way, times in results.get("lookups", {}).items():
        for percent in (50, 99):
            ours, bare = (1e6 * percentile(times[side], percent) for side in ("ours", "bare"))
            what = f"look-up p{percent}, {way}"
            sides = (f"{ours:.0f} µs", f"{bare:.0f} µs")
            yield ("11", what, *sides, "", f"{ours / bare:.2f}", "≤ 1.2")


def _fences(results: dict[str, Any]) -> Iterator[Sequence[str]]:
    if "fences" not in results:
        return
    fences = results["fences"]
    for percent, target in ((50, ""), (99, "< 1 s")):
        what = f"withdrawal to fence p{percent}, at {fences['rate']:,.0f} births a second"
        took = f"{1e3 * percentile(fences['seconds'], percent):.0f} ms"
        yield ("", what, took, "", "", "", target)


def _memory(results: dict[str, Any]) -> Iterator[Sequence[str]]:
    if "memory" in results:
        total = results["memory"]["total_mib"]
        yield ("", "whole stack's memory", f"{total} MiB", "", "", "", f"< {MEMORY_TARGET_MIB} MiB")


def _us(values: Sequence[float], best: Any = min) -> str:
    return f"{best(values):.0f} | {statistics.median(values):.0f} µs"


def _rate(values: Sequence[float], best: Any = max) -> str:
    return f"{best(values):,.0f} | {statistics.median(values):,.0f} /s"
