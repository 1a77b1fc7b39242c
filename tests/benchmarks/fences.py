"""How long a withdrawal takes to bind everywhere while enforcement is under half of its full load.

All own processes of consents and enforcement run. First births are published all at once, and the
time until they are released gives the sustained rate; then they flow at half of it, and consents
of people in the same partitions are withdrawn one after the other.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from uuid import uuid4

from civicbus_audit.fences import Withdrawal, examine
from civicbus_consumers.consent.fence import Fence
from civicbus_deploy.provisioning import provision
from civicbus_deploy.provisioning.nation import load_nation
from civicbus_producers.publisher import Publisher
from civicbus_producers.registry import Registry
from civicbus_producers.settings import read_key
from civicbus_schemas.codec import unframe
from civicbus_schemas.page import Page
from civicbus_schemas.topics import AUDIT_PAGE, consent_group, enforcement_group
from confluent_kafka import Producer

from tests.benchmarks import workload
from tests.benchmarks.checks import require
from tests.bus import Bus
from tests.citizens import going_on, open_fence
from tests.lives import card_consent, card_withdrawal, child_pin
from tests.subjects import numbers_in

TICK_S = 0.02
PEOPLE_FROM, EVENTS_FROM = 900_000, 650_000
PROCESSES = [*map(consent_group, range(2)), *map(enforcement_group, range(2))]


@dataclass
class FenceBench:
    """Withdrawals on a running bus with the packaged nation."""

    bus: Bus
    seconds: list[float] = field(default_factory=list)
    kept: list[Withdrawal] = field(default_factory=list)

    def __post_init__(self) -> None:
        provision(self.bus.stack.home)
        contract = load_nation().policy.contracts[workload.BIRTH]
        topic_key = read_key(self.bus.stack.folder.secrets / "topic-key")
        self._samples = workload.samples(contract, first=EVENTS_FROM, topic_key=topic_key)
        registry = Registry(self.bus.stack.registry_url)
        self._schema_id = registry.get_id(workload.SOURCE, contract.document)
        self._producer = Producer(self.bus.stack.client_config(acks="all", linger_ms=5))

    def run(self, *, events: int, withdrawals: int) -> dict[str, Any]:
        """The rates, and of each withdrawal the seconds from publishing it to its fence."""
        fence = open_fence(self.bus)
        with ExitStack() as running, self.bus.publisher("vneid") as vneid:
            for name in PROCESSES:
                running.enter_context(self.bus.running(name))
            for name in PROCESSES:
                self.bus.wait(lambda name=name: self.bus.is_ready(name), name)  # type: ignore[misc]
            sustained = self._sustained(events)
            people = list(islice(numbers_in(self.bus, 0, start=PEOPLE_FROM), withdrawals))
            given = {n: str(uuid4()) for n in people}
            receipts = [
                vneid.publish(card_consent(n, consent_id=consent), subject=child_pin(n))
                for n, consent in given.items()
            ]
            for receipt in receipts:  # a burst of new consents is no part of what is measured
                at = receipt.wait(20)
                fence.wait(at.topic, at.partition, at.offset, timeout_s=60)
            with going_on(lambda stop: self._flow(stop, sustained / 2)):
                for n, consent in given.items():
                    self._withdraw(vneid, fence, n, consent=consent)
            # What is left would be released to whoever measures on this bus next.
            self.bus.wait(lambda: self.bus.is_drained(workload.SOURCE), "the last births")
        fence.close()
        self._check()
        return {"sustained": sustained, "rate": sustained / 2, "seconds": self.seconds}

    def _sustained(self, events: int) -> float:
        self._publish(events)
        begun = time.perf_counter()
        self.bus.wait(lambda: self.bus.is_drained(workload.SOURCE), "enforcement", timeout_s=600)
        return events / (time.perf_counter() - begun)

    def _flow(self, stop: threading.Event, rate: float) -> None:
        begun, published = time.perf_counter(), 0
        while not stop.wait(TICK_S):
            due = int((time.perf_counter() - begun) * rate) - published
            self._publish(due)
            published += due

    def _publish(self, events: int) -> None:
        for sample in islice(self._samples, events):
            self._producer.produce(
                workload.SOURCE,
                value=sample.value(self._schema_id),
                key=sample.key,
                partition=sample.partition,
                headers=sample.headers,  # type: ignore[arg-type]
            )
        require(self._producer.flush(60) == 0, "the broker did not take the events")

    def _withdraw(self, vneid: Publisher, fence: Fence, n: int, *, consent: str) -> None:
        begun = time.perf_counter()
        event = card_withdrawal(n, consent_id=consent)
        at = vneid.publish(event, subject=child_pin(n)).wait(20)
        passed = fence.wait(at.topic, at.partition, at.offset, timeout_s=60)
        self.seconds.append(time.perf_counter() - begun)
        self.kept.append(
            Withdrawal(consent=consent, partition=passed.partition, position=passed.position)
        )

    def _check(self) -> None:
        """No page may rest on what was withdrawn before it."""
        pages = (Page.decode(unframe(m.value())[1]) for m in self.bus.read_all(AUDIT_PAGE))  # type: ignore[arg-type]
        leaves = (leaf for page in pages for leaf in (page.header, *page.records))
        found = examine(enumerate(leaves), self.kept)
        require(found.pages > 0, "nothing was recorded")
        require(not found.breaches, "a page does not keep to a fence")
