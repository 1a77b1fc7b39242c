"""`python -m tests.benchmarks` (`make bench`): rows 1, 5, 6, 11, 16 of the targets, and fences.

Reports, and never fails on a figure; fails where an answer was wrong. The raw numbers are kept as
JSON in `bench-results/`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from civicbus_deploy.provisioning.nation import packaged_nation
from rich.console import Console

from tests.benchmarks import machine, pure, scale, workload
from tests.benchmarks.checks import WrongAnswer
from tests.benchmarks.fences import FenceBench
from tests.benchmarks.lookups import LookupBench
from tests.benchmarks.memory import stack_memory
from tests.benchmarks.release import ReleaseBench
from tests.benchmarks.report import table
from tests.bus import Bus
from tests.nursery import launch
from tests.stack import Stack

SIZES: dict[str, dict[str, Any]] = {
    "full": {"rounds": 5, "events": 4000, "lookups": 400, "withdrawals": 300,
             "subjects": [1_000_000, 10_000_000]},
    "quick": {"rounds": 2, "events": 500, "lookups": 50, "withdrawals": 20,
              "subjects": [10_000, 100_000]},
}  # fmt: skip
APART = 300_000  # the nations' samples are other people


def measure(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Everything that was asked for."""
    size = SIZES["quick" if options.quick else "full"]
    results: dict[str, Any] = {"machine": machine.describe(), "size": size}
    with tempfile.TemporaryDirectory(prefix="civicbus-bench-") as below:
        folders = {n: workload.nation_folder(n, below=Path(below)) for n in workload.NATIONS}
        results["release"] = {name: {} for name in folders}
        for name, folder in folders.items():
            console.log(f"release path alone, {name} nation")
            alone = pure.measure(folder, rounds=size["rounds"], events=size["events"])
            results["release"][name]["alone"] = alone.rounds
        console.log("decisions beside many agreements and many consents")
        results["scale"] = {
            "agreements": scale.measure_agreements(
                packaged_nation(), rounds=size["rounds"], events=size["events"]
            ),
            "consents": scale.measure_consents(size["subjects"], lookups=20_000),
        }
        if not options.no_broker:
            _on_the_broker(results, folders, console=console)
    if options.home is not None:
        console.log(f"memory of the stack in {options.home}")
        results["memory"] = stack_memory(options.home)
    results["machine"] |= machine.after()
    return results


def _on_the_broker(results: dict[str, Any], folders: dict[str, Path], *, console: Console) -> None:
    size = results["size"]
    stack = Stack()
    try:
        console.log("starting Kafka, registry and PostgreSQL")
        bus = Bus.found(stack.start(), start=launch)
        console.log("look-ups")
        bench = LookupBench(bus)
        results["lookups"] = bench.run(rounds=size["rounds"], lookups=size["lookups"])
        console.log("withdrawals while births flow")
        results["fences"] = FenceBench(bus).run(
            events=size["events"], withdrawals=size["withdrawals"]
        )
        for place, (name, folder) in enumerate(folders.items()):
            console.log(f"enforcement beside a bare copy, {name} nation")
            released = ReleaseBench(bus, folder, name, first=place * APART)
            released.run(rounds=size["rounds"], events=size["events"])
            results["release"][name] |= {
                "enforcement": released.enforcement.rounds,
                "copy": released.copy.rounds,
            }
    finally:
        stack.close()


def main() -> int:
    """Measure, print the table, keep the raw numbers; 1 where an answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small rounds: does it work at all")
    parser.add_argument("--no-broker", action="store_true", help="only what needs no server")
    parser.add_argument("--home", type=Path, help="a running stack, to read its memory")
    parser.add_argument("--out", type=Path, default=Path("bench-results"))
    options = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=120, log_path=False)
    try:
        results = measure(options, console)
    except WrongAnswer as wrong:
        console.print(f"[bold red]wrong answer:[/] {wrong}")
        return 1
    options.out.mkdir(exist_ok=True)
    path = options.out / f"{results['machine']['at'].replace(':', '')}.json"
    path.write_text(json.dumps(results, indent=1), "utf-8")
    for part in table(results):
        console.print(part)
    console.print(f"raw numbers: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
