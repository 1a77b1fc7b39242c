"""`python -m tests.benchmarks.verifying`: how many leaves a second `civicbus-audit verify` checks.

The ledger is sealed by the sealer's own code from one recorder's pages, with an index commit every
hour of log time, so that verifying recounts the tree and makes every commit again. The raw numbers
are kept in `bench-results/`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from civicbus_audit.crew import crew_of
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.recount import recount
from civicbus_audit.sealer import Sealer
from civicbus_audit.sequencing import PageMessage
from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import verify_ledger
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console

from tests.benchmarks import machine
from tests.benchmarks.checks import require
from tests.benchmarks.sealing import PAGE, OneRecorder
from tests.fakes.pages import AT, PUBLIC_KEYS

ORIGIN = "civicbus.local/audit"
LOG = Signer(ORIGIN, Ed25519PrivateKey.generate())
TOGETHER = 40  # pages under one checkpoint


def seal_hours(folder: Path, *, leaves: int, an_hour: int) -> int:
    """A ledger of at least so many leaves, so many of them in each hour; its size."""
    recorder, pages_an_hour = OneRecorder(), max(1, an_hour // (PAGE + 1))
    with Ledger.open(folder, origin=ORIGIN, signer=LOG) as ledger:
        sealer = Sealer(ledger, keys=PUBLIC_KEYS)
        while ledger.checkpoint.size < leaves:
            numbers = range(sealer.position, sealer.position + TOGETHER)
            hours = [timedelta(hours=number // pages_an_hour) for number in numbers]
            sealer.seal(
                [
                    PageMessage(offset=number, at=AT + hour, value=recorder.write())
                    for number, hour in zip(numbers, hours, strict=True)
                ]
            )
        return ledger.checkpoint.size


def measure(folder: Path, *, leaves: int, rounds: int) -> dict[str, list[float]]:
    """Leaves a second, round by round, the ways taking turns."""
    directory = LedgerDirectory(folder)

    def verify(processes: int | None) -> None:
        with crew_of(processes) as crew:
            held = verify_ledger(directory, LOG.verifier, crew=crew)
        require(held.size == leaves, "the ledger holds")

    ways: dict[str, Callable[[], object]] = {
        "recount, one process": lambda: recount(StoredLog(directory.read, leaves)),
        "verify, one process": lambda: verify(1),
        "verify, a process a core": lambda: verify(None),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begun = time.monotonic()
            way()
            rates[name].append(leaves / (time.monotonic() - begun))
    return rates


def main(arguments: list[str] | None = None) -> int:
    """Makes a ledger, verifies it, and prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaves", type=int, default=1_000_000)
    parser.add_argument(
        "--an-hour", type=int, default=100_000, help="leaves in an hour of log time"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("bench-results"))
    options = parser.parse_args(arguments)
    found: dict[str, Any] = {"machine": machine.describe(), "an_hour": options.an_hour}
    with tempfile.TemporaryDirectory(prefix="civicbus-bench-") as below:
        begun = time.monotonic()
        folder = Path(below) / "ledger"
        found["leaves"] = seal_hours(folder, leaves=options.leaves, an_hour=options.an_hour)
        found["sealed_a_second"] = round(found["leaves"] / (time.monotonic() - begun))
        rates = measure(folder, leaves=found["leaves"], rounds=options.rounds)
    found["leaves_a_second"] = {name: [round(r) for r in each] for name, each in rates.items()}
    found["machine"] |= machine.after()
    options.out.mkdir(exist_ok=True)
    path = options.out / f"verifying-{found['machine']['at'].replace(':', '')}.json"
    path.write_text(json.dumps(found, indent=1), "utf-8")
    Console().print_json(data=found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
