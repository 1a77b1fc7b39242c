"""`python -m tests.benchmarks.sealing`: from a page's acknowledgement to its cosigned checkpoint.

All that stands behind the page topic runs as it is provisioned: sealing, indexing, three witnesses,
one of them a mirror that fetches every leaf, and the server of proofs. One recorder writes pages at
a steady rate; a page is in evidence once a checkpoint that a quorum has cosigned reaches its end,
and can be found once the index reaches it. The raw numbers are kept in `bench-results/`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from civicbus_audit.completeness.commit import INDEX_COMMIT
from civicbus_audit.index.database import make_engine
from civicbus_audit.index.filling import indexed_size
from civicbus_audit.merkle import CompactRange, leaf_hash
from civicbus_audit.places import Places
from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import published
from civicbus_deploy.embedded.keys import recorder_keys_file
from civicbus_deploy.embedded.own import PROOFS
from civicbus_deploy.embedded.state import read_json, write_json
from civicbus_deploy.embedded.witnesses import WITNESSES
from civicbus_schemas.codec import frame
from civicbus_schemas.errors import BusError
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.page import PageHeader, sign_page
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.topics import AUDIT_PAGE, SEALING
from confluent_kafka import KafkaError, Message, Producer
from rich.console import Console

from tests.benchmarks import machine
from tests.benchmarks.checks import require
from tests.bus import Bus
from tests.citizens import going_on
from tests.fakes.pages import KEY, PUBLIC_KEYS, decision, keys_document
from tests.nursery import launch
from tests.stack import Stack

PAGE, SETS, PEOPLE = 250, 20, 1_000
INDEXING = "indexing"
SEALED = 250
"""Bytes of a record's sealed part."""


@dataclass
class OneRecorder:
    """Writes page after page. The records repeat, which nobody behind the topic minds."""

    recorder: RecorderId = field(default_factory=lambda: RecorderId(os.urandom(16).hex()))
    sequence: int = 0
    previous: str | None = None

    def __post_init__(self) -> None:
        self._sets = []
        for number in range(SETS):
            leaves = [
                replace(
                    decision(),
                    nonce=os.urandom(16),
                    subject=LedgerPseudonym(f"{(number * PAGE + i) % PEOPLE:032x}"),
                ).encode()
                for i in range(PAGE)
            ]
            root = CompactRange().extended(map(leaf_hash, leaves)).root().hex()
            self._sets.append((leaves, [os.urandom(SEALED) for _ in leaves], root))

    def write(self) -> bytes:
        """The next page, as a message."""
        leaves, sealed, root = self._sets[self.sequence % SETS]
        header = PageHeader(
            process="enforce-0",
            recorder=self.recorder,
            sequence=self.sequence,
            previous=self.previous,
            closes=None,
            released=None,
            policy=None,
            at=datetime.now(UTC),
            positions=(),
            records=len(leaves),
            root=root,
        )
        page = sign_page(
            header, records=leaves, sealed=sealed, signer=KEY, key=next(iter(PUBLIC_KEYS))
        )
        self.sequence, self.previous = self.sequence + 1, page.hash
        return frame(7, page.encode())


class Growth:
    """When a size was first seen to be reached."""

    def __init__(self, look: Callable[[], int]) -> None:
        self._look = look
        self._sizes, self._times = [0], [0.0]

    @property
    def size(self) -> int:
        """The newest size seen."""
        return self._sizes[-1]

    def watch(self, stop: threading.Event) -> None:
        """Look until stopped."""
        while not stop.wait(0.02):
            if (size := self._look()) > self.size:
                self._sizes.append(size)
                self._times.append(time.monotonic())

    def reached(self, size: int) -> float:
        """When there were so many leaves."""
        return self._times[bisect_left(self._sizes, size)]


@dataclass
class SealingBench:
    """Pages at a rate, and when which checkpoint was there, and the rows of which leaves."""

    bus: Bus
    acknowledged: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        path = recorder_keys_file(self.bus.stack.folder)
        write_json(path, {**read_json(path), **keys_document()})
        self._places = Places.under(self.bus.stack.home)
        self._engine = make_engine(self.bus.stack.dsn_file(INDEXING))
        self.sealed, self.indexed = Growth(self._size), Growth(self._rows)

    def run(self, *, rate: int, seconds: float) -> dict[str, Any]:
        """Seconds from acknowledgement to a cosigned checkpoint, and to rows in the index."""
        with ExitStack() as running:
            running.callback(self._engine.dispose)
            for name in (PROOFS, *WITNESSES, SEALING, INDEXING):
                running.enter_context(self.bus.running(name))
            self.bus.wait(lambda: self.bus.is_ready(SEALING), SEALING)
            self.bus.wait(lambda: self._size() > 0, "what provisioning wrote to be published")
            base = self._size()
            for growth in (self.sealed, self.indexed):
                running.enter_context(going_on(growth.watch))
            took = self._write(rate, seconds)
            least = base + len(self.acknowledged) * (PAGE + 1)
            self.bus.wait(lambda: self.sealed.size >= least, "the last checkpoint", timeout_s=600)
            ends = self._ends(base)
            self.bus.wait(lambda: self.indexed.size >= ends[-1], "the index", timeout_s=1800)
            require(self._size() == ends[-1], "the ledger holds the pages that were written")
        return {
            "rate": len(self.acknowledged) * PAGE / took,
            "records": len(self.acknowledged) * PAGE,
            "checkpoint_s": self._latencies(self.sealed, ends),
            "index_s": self._latencies(self.indexed, ends),
        }

    def _write(self, rate: int, seconds: float) -> float:
        config = self.bus.stack.client_config(acks="all", linger_ms=0)
        producer, recorder = Producer({**config, "message.max.bytes": 8 << 20}), OneRecorder()

        def delivered(error: KafkaError | None, _: Message) -> None:
            require(error is None, "a page was not acknowledged")
            self.acknowledged.append(time.monotonic())

        begun, written = time.monotonic(), 0
        while (passed := time.monotonic() - begun) < seconds:
            while written < passed * rate / PAGE:
                producer.produce(AUDIT_PAGE, recorder.write(), partition=0, on_delivery=delivered)
                written += 1
            producer.poll(0.005)
        require(producer.flush(60) == 0, "the pages were not acknowledged")
        return time.monotonic() - begun

    def _ends(self, base: int) -> list[int]:
        """The size of the ledger at the end of each page; index commits stand between them."""
        log = StoredLog(self._places.directory().read, self._size())
        commits = {
            index
            for index, leaf in log.containing(INDEX_COMMIT.single_object_header)
            if INDEX_COMMIT.wrote(leaf)
        }
        ends, end = list[int](), base
        for _ in self.acknowledged:
            end += PAGE + 1 + (end in commits)
            ends.append(end)
        return ends

    def _latencies(self, growth: Growth, ends: list[int]) -> dict[str, float]:
        latencies = sorted(
            growth.reached(end) - at for end, at in zip(ends, self.acknowledged, strict=True)
        )
        return {
            "p50": statistics.median(latencies),
            "p99": latencies[int(len(latencies) * 0.99)],
            "max": latencies[-1],
        }

    def _size(self) -> int:
        try:
            return published(self._places.directory(), self._places.trust())[0].size
        except BusError:
            return 0

    def _rows(self) -> int:
        try:
            return indexed_size(self._engine)
        except BusError:
            return 0


def main(arguments: list[str] | None = None) -> int:
    """Starts servers and processes, writes pages, and prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=5_000, help="records a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--out", type=Path, default=Path("bench-results"))
    options = parser.parse_args(arguments)
    console, on, stack = Console(stderr=True), machine.describe(), Stack()
    try:
        console.print("starting Kafka, registry and PostgreSQL")
        bench = SealingBench(Bus.found(stack.start(), start=launch))
        console.print(f"{options.rate} records a second for {options.seconds:.0f} s")
        found = bench.run(rate=options.rate, seconds=options.seconds)
    finally:
        stack.close()
    found |= {"seconds": options.seconds, "machine": on | machine.after()}
    options.out.mkdir(exist_ok=True)
    path = options.out / f"sealing-{on['at'].replace(':', '')}.json"
    path.write_text(json.dumps(found, indent=1), "utf-8")
    Console().print_json(data=found)
    console.print(f"raw numbers: {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
