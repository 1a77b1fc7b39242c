"""Rows 1 and 16: enforcement beside a bare copy of the same messages, on the same real broker.

Each round publishes fresh events; then enforcement and the bare loop read them, each as a process
of its own, now one first and now the other.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from civicbus_consumers.recording.signing import read_signing_key
from civicbus_deploy.embedded.pseudonyms import read_keyring
from civicbus_deploy.provisioning import provision
from civicbus_deploy.provisioning.nation import load_nation
from civicbus_producers.ends import read_stable_ends
from civicbus_producers.positions import GroupPositions
from civicbus_producers.registry import Registry
from civicbus_producers.settings import read_key
from civicbus_schemas.codec import unframe
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.page import Page
from civicbus_schemas.topics import AUDIT_PAGE, PARTITIONS
from confluent_kafka import Message, Producer, TopicPartition

from tests.benchmarks import workload
from tests.benchmarks.checks import (
    Given,
    WrongAnswer,
    check_copies,
    check_deliveries,
    read_pages,
    require,
)
from tests.benchmarks.clocks import Series
from tests.benchmarks.paths import COPY
from tests.bus import ROOT, Bus, approve_drafts
from tests.reconciliation import record_of

WORKER = "enforce-0"
ROUND_S = 600


@dataclass
class ReleaseBench:
    """One nation on a running bus, and what its rounds came to."""

    bus: Bus
    folder: Path
    name: str
    first: int
    published: list[workload.Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        approve_drafts(self.bus.stack.folder, self.folder)
        provision(self.bus.stack.home, nation=self.folder)
        secrets = self.bus.stack.folder.secrets
        self._topic_key = read_key(secrets / "topic-key")
        self._keyring = read_keyring(self.bus.stack.folder)
        self._signer = read_signing_key(secrets / f"sign-{WORKER}.pem")[0].public_key()
        contract = load_nation(self.folder).policy.contracts[workload.BIRTH]
        self._samples = workload.samples(contract, first=self.first, topic_key=self._topic_key)
        registry = Registry(self.bus.stack.registry_url)
        self._schema_id = registry.get_id(workload.SOURCE, contract.document)
        self._copies = [f"bench.copy.{self.name}.{n}" for n in range(workload.RECIPIENTS + 1)]
        self.bus.stack.create_topics(*self._copies, partitions=PARTITIONS)
        self._begin_copy_at_the_end()
        self._pages_before = len(self._read(AUDIT_PAGE))
        self._given_before = len(self._read(*workload.DELIVERIES))
        self.enforcement, self.copy = Series("enforcement"), Series("bare copy")

    def _begin_copy_at_the_end(self) -> None:
        """What others have published there before is no part of this measurement."""
        places = [(workload.SOURCE, partition) for partition in range(PARTITIONS)]
        ends = read_stable_ends(self.bus.stack.admin(), places, timeout_s=30)
        with GroupPositions(self.bus.stack.admin_access, COPY, client_id=COPY) as positions:
            positions.commit([TopicPartition(*place, end) for place, end in ends.items()])

    def run(self, *, rounds: int, events: int) -> None:
        """Measure, then check all that was delivered, recorded and copied."""
        for number in range(rounds):
            self._publish(events)
            paths = [self._enforce, self._copy]
            for measure in paths if number % 2 else reversed(paths):
                measure(events)
        self.check()

    def _publish(self, events: int) -> None:
        fresh = list(islice(self._samples, events))
        require(len(fresh) == events, "there are no more samples")
        producer = Producer(self.bus.stack.client_config(acks="all", linger_ms=20))
        for sample in fresh:
            producer.produce(
                workload.SOURCE,
                value=sample.value(self._schema_id),
                key=sample.key,
                partition=sample.partition,
                headers=sample.headers,  # type: ignore[arg-type]
            )
            producer.poll(0)
        require(producer.flush(60) == 0, "the broker did not take the events")
        self.published += fresh

    def _enforce(self, events: int) -> None:
        settings = self.bus.specs[WORKER].command[-1]
        self.enforcement.rounds.append(
            _measured("enforcement", "--settings", settings, "--events", str(events))
        )

    def _copy(self, events: int) -> None:
        stack = self.bus.stack
        password = stack.folder.secrets / "kafka-admin"
        access = ("--bootstrap", stack.bootstrap, "--password-file", str(password))
        topics = ("--source", workload.SOURCE, "--to", *self._copies)
        self.copy.rounds.append(_measured("copy", *access, *topics, "--events", str(events)))

    def check(self) -> None:
        """Everything that lies on the topics is as oracle, pages and counts say; or raises."""
        messages = self._read(AUDIT_PAGE)[self._pages_before :]
        records = read_pages((Page.decode(_body(m)) for m in messages), signer=self._signer)
        given = [
            Given(record=record_of(m), body=_body(m)) for m in self._read(*workload.DELIVERIES)
        ]
        ours = [one for one in given if one.record in records]
        require(len(given) - len(ours) == self._given_before, "a delivery's record is on no page")
        check_deliveries(
            {sample.id: sample.body for sample in self.published},
            ours,
            records=records,
            expectation=workload.expectation(
                self.folder, pairwise_key_of=lambda name: self._keyring[AgencyId(name)].key
            ),
        )
        values = [sample.value(self._schema_id) for sample in self.published]
        check_copies(values, {topic: _values(self._read(topic)) for topic in self._copies})

    def _read(self, *topics: str) -> list[Message]:
        return self.bus.read_all(*topics)


def _measured(*arguments: str) -> dict[str, float]:
    """One path in a process of its own; its round."""
    command = [sys.executable, "-m", "tests.benchmarks.paths", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=ROUND_S, check=False
    )
    if done.returncode:
        raise WrongAnswer(f"{arguments[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _body(message: Message) -> bytes:
    return unframe(bytes(message.value() or b""))[1]


def _values(messages: Iterable[Message]) -> Iterator[bytes]:
    return (bytes(message.value() or b"") for message in messages)
