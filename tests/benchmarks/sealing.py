"""`python -m tests.benchmarks.sealing`: from a page's acknowledgement to its cosigned checkpoint.

All that stands behind the page topic runs as it is provisioned: sealing, three witnesses, one of
them a mirror that fetches every leaf, and the server of proofs. One recorder writes pages at a
steady rate; a page is in evidence once a checkpoint that a quorum has cosigned reaches its end.
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from bisect import bisect_left
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from civicbus_audit.index.database import make_engine
from civicbus_audit.index.filling import indexed_size
from civicbus_audit.merkle import CompactRange, leaf_hash
from civicbus_audit.places import Places
from civicbus_audit.verify import published
from civicbus_deploy.embedded.own import PROOFS, recorder_keys_file
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
from tests.fakes.pages import KEY, PUBLIC_KEYS, decision
from tests.nursery import launch
from tests.stack import Stack

PAGE, SETS, PEOPLE = 250, 20, 1_000
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


@dataclass
class SealingBench:
    """Pages at a rate, and when which checkpoint was there."""

    bus: Bus
    acknowledged: list[float] = field(default_factory=list)
    checkpoints: list[tuple[int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        path = recorder_keys_file(self.bus.stack.folder)
        write_json(path, {**read_json(path), **{k: v.hex() for k, v in PUBLIC_KEYS.items()}})
        self._places = Places.under(self.bus.stack.home)
        self._base = 0

    def run(self, *, rate: int, seconds: float) -> dict[str, float]:
        """Seconds from acknowledgement to a cosigned checkpoint; how far the index came."""
        with ExitStack() as running:
            for name in (PROOFS, *WITNESSES, SEALING):
                running.enter_context(self.bus.running(name))
            self.bus.wait(lambda: self.bus.is_ready(SEALING), SEALING)
            self.bus.wait(lambda: self._size() > 0, "what provisioning wrote to be published")
            self._base = self._size()
            with going_on(self._watch):
                took = self._write(rate, seconds)
                end = self._base + len(self.acknowledged) * (PAGE + 1)
                indexed = self._indexed()
                self.bus.wait(lambda: self._size() >= end, "the last checkpoint", 600)
            begun = time.monotonic()
            self.bus.wait(lambda: self._indexed() >= end, "the index", 1800)
            behind_s = time.monotonic() - begun
            require(self._size() == end, "the ledger holds the pages that were written")
        latencies = sorted(self._latencies())
        return {
            "rate": len(self.acknowledged) * PAGE / took,
            "p50": statistics.median(latencies),
            "p99": latencies[int(len(latencies) * 0.99)],
            "max": latencies[-1],
            "indexed_at_the_end": (indexed - self._base) / (end - self._base),
            "index_behind_s": behind_s,
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

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(0.01):
            size = self._size()
            if not self.checkpoints or size > self.checkpoints[-1][0]:
                self.checkpoints.append((size, time.monotonic()))

    def _latencies(self) -> list[float]:
        sizes = [size for size, _ in self.checkpoints]
        return [
            self.checkpoints[bisect_left(sizes, self._base + (page + 1) * (PAGE + 1))][1] - at
            for page, at in enumerate(self.acknowledged)
        ]

    def _size(self) -> int:
        try:
            return published(self._places.directory(), self._places.trust())[0].size
        except BusError:
            return 0

    def _indexed(self) -> int:
        engine = make_engine(self.bus.stack.dsn_file("sealing"))
        try:
            return indexed_size(engine)
        finally:
            engine.dispose()


def main(arguments: list[str] | None = None) -> int:
    """Starts servers and processes, writes pages, and prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=5_000, help="records a second")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args(arguments)
    console, before, stack = Console(stderr=True), machine.load(), Stack()
    try:
        console.print("starting Kafka, registry and PostgreSQL")
        bench = SealingBench(Bus.found(stack.start(), start=launch))
        console.print(f"{options.rate} records a second for {options.seconds:.0f} s")
        found = bench.run(rate=options.rate, seconds=options.seconds)
    finally:
        stack.close()
    loads = {"load_before": before, "load_after": machine.load()}
    Console().print_json(data={name: round(value, 3) for name, value in (found | loads).items()})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
