"""`python -m tests.benchmarks.history`: how long a person's history takes among millions of rows.

Ledger and index are made by their own code; a hundred readings of each person lie all over them. A
history is what an officer or a citizen is shown: the newest hundred rows from PostgreSQL, each
compared with its leaf; and beside it the same with a proof for each row.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.index.database import make_engine, migrate
from civicbus_audit.index.filling import fill
from civicbus_audit.index.searching import Entry, confirm, search
from civicbus_audit.proof import format_proof
from civicbus_audit.query import Query
from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import published
from rich.console import Console
from sqlalchemy import Engine, text

from tests.benchmarks import machine
from tests.benchmarks.checks import require
from tests.benchmarks.evidence import LOG, make_ledger, numbered
from tests.stack import Stack

EACH = 100
HISTORIES = 1_000


def show(engine: Engine, folder: Path, person: int, *, proved: bool) -> list[Entry]:
    """The newest readings of a person, as they are shown."""
    found = search(engine, Query(subject=numbered(person), limit=EACH))
    directory = LedgerDirectory(folder)
    checkpoint, note = published(directory, LOG.verifier)
    log = StoredLog(directory.read, checkpoint.size)
    confirm(found, log)
    if proved:
        for entry in found:
            format_proof(log.prove(entry.index, checkpoint=note))
    return found


def measure(call: Callable[[int], list[Entry]], people: int) -> list[float]:
    """Seconds of each of many histories, in order of length."""
    draw, seconds = random.Random(people), []  # noqa: S311
    for _ in range(HISTORIES):
        person = draw.randrange(people)
        begun = time.perf_counter()
        found = call(person)
        seconds.append(time.perf_counter() - begun)
        require(
            [entry.index % people for entry in found] == [person] * EACH,
            "a history is whole and nobody else's",
        )
    return sorted(seconds)


def main(arguments: list[str] | None = None) -> int:
    """Makes ledger and index, and says what histories took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    records, console = parser.parse_args(arguments).records, Console()
    people, before, stack = records // EACH, machine.load(), Stack(("postgres",))
    try:
        stack.start()
        with tempfile.TemporaryDirectory(prefix="civicbus-bench-") as below:
            folder, dsn = Path(below) / "ledger", Path(below) / "dsn"
            dsn.write_text(stack.create_database())
            dsn.chmod(0o600)
            begun = time.monotonic()
            make_ledger(folder, records, people=people)
            console.print(f"ledger of {records:,}: {time.monotonic() - begun:.0f} s")
            begun, engine = time.monotonic(), make_engine(dsn)
            migrate(engine)
            fill(engine, StoredLog(LedgerDirectory(folder).read, records))
            console.print(f"index of it: {time.monotonic() - begun:.0f} s")
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("vacuum analyze leaf"))
            for what, proved in (("shown", False), ("with a proof for each row", True)):
                seconds = measure(
                    lambda person, proved=proved: show(engine, folder, person, proved=proved),  # type: ignore[misc]
                    people,
                )
                p50, p99 = (seconds[int(HISTORIES * share)] * 1e3 for share in (0.5, 0.99))
                console.print(f"{EACH} rows {what}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
            engine.dispose()
    finally:
        stack.close()
    console.print(f"load {before} before, {machine.load()} after")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
