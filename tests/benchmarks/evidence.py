"""`python -m tests.benchmarks.evidence`: how long a bundle takes to make, and to verify alone.

The ledger is made by the ledger's own code, of records that differ in id, nonce and subject only.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from civicbus_audit.crew import crew_of
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.evidence.export import Exported, Source, export
from civicbus_audit.evidence.request import Request
from civicbus_audit.finding import find_record
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.query import Query
from civicbus_audit.stored import StoredLog
from civicbus_schemas.ids import AgencyId, RecordId
from civicbus_schemas.pseudonym import LedgerPseudonym
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console

from tests.fakes.pages import AT, decision

ORIGIN = "civicbus.local/audit"
LOG = Signer(ORIGIN, Ed25519PrivateKey.generate())
EXPORTER = Signer(f"{ORIGIN}/exporter", Ed25519PrivateKey.generate())
BATCH, PEOPLE = 10_000, 1_000


def numbered(number: int) -> str:
    """16 bytes as hex."""
    return f"{number:032x}"


def make_ledger(folder: Path, records: int, *, people: int = PEOPLE) -> None:
    """A ledger of so many records about so many people, in turn."""
    template = decision()
    with Ledger.open(folder, origin=ORIGIN, signer=LOG) as ledger:
        for start in range(0, records, BATCH):
            leaves = [
                replace(
                    template,
                    id=RecordId(numbered(number)),
                    nonce=os.urandom(16),
                    subject=LedgerPseudonym(numbered(number % people)),
                ).encode()
                for number in range(start, min(records, start + BATCH))
            ]
            ledger.append(leaves, [b""] * len(leaves), position=start + 1)


def make_bundle(ledger: Path, target: Path, query: Query) -> Exported:
    """The records of a query, as a bundle."""
    query = replace(query, since=AT - timedelta(days=1), until=AT + timedelta(days=1))
    request = Request(
        query=query, agency=AgencyId("inspectorate"), officer="o-1", purpose="to measure"
    )
    with crew_of(None) as crew:
        return export(
            request,
            Source(directory=LedgerDirectory(ledger), trust=LOG.verifier),
            target,
            signer=EXPORTER,
            at=AT,
            before_reading=lambda _: None,
            crew=crew,
        )


def verify_alone(bundle: Path) -> str:
    """What the bundle's own verifier says, as a process without our packages."""
    options = ("--policy", f"{bundle}/trust.policy", "--exporter", f"{bundle}/exporter.vkey")
    command = [sys.executable, "-I", "-S", f"{bundle}/verify.py", "bundle", str(bundle), *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


def main(arguments: list[str] | None = None) -> int:
    """Makes a ledger and two bundles, and says what each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    records, console = parser.parse_args(arguments).records, Console()

    def timed(what: str, call: Callable[[], object]) -> None:
        started, cpu = time.monotonic(), time.process_time()
        told = call()
        took, worked = time.monotonic() - started, time.process_time() - cpu
        console.print(f"{what}: {took:.1f} s, CPU here {worked:.1f} s ({told})", highlight=False)

    with tempfile.TemporaryDirectory(prefix="civicbus-bench-") as below:
        ledger, one, all_ = (Path(below) / name for name in ("ledger", "one", "all"))
        timed(f"ledger of {records:,}", lambda: make_ledger(ledger, records))
        log = StoredLog(LedgerDirectory(ledger).read, records)
        timed("the last record by its id", lambda: find_record(log, numbered(records - 1)))
        person = Query(subject=numbered(7))
        timed("bundle of one person", lambda: make_bundle(ledger, one, person).records)
        timed("bundle of everything", lambda: make_bundle(ledger, all_, Query()).records)
        timed("verified alone", lambda: verify_alone(all_).strip())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    console.print(f"memory at its peak: {peak} MiB", highlight=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
