"""Consent topics of a test's own on the shared broker, and the means to write and read them.

Beyond 300 lines: a place has one agency, and its topics, keys, groups and processes bear that name.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import chain, count
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

from civicbus_consumers.consent.app import run
from civicbus_consumers.consent.handler import Step
from civicbus_consumers.consent.settings import ConsentSettings
from civicbus_consumers.consent.territory import Territory
from civicbus_consumers.runtime.partitioning import partition_of
from civicbus_producers.positions import GroupPositions
from civicbus_producers.publisher import Publisher
from civicbus_producers.receipt import Published
from civicbus_producers.registry import schema_text, subject_name
from civicbus_producers.settings import Connection, read_key
from civicbus_schemas.codec import unframe
from civicbus_schemas.consent import SUBJECT_CONSENTS, SubjectConsents
from civicbus_schemas.errors import Retryable
from civicbus_schemas.ids import AgencyId, EventType, Pin
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.topics import PARTITIONS, SourceTopic, consent_group, enforcement_group
from civicbus_schemas.vietnam.events import EVENT_CLASSES
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    TopicPartition,
)
from confluent_kafka.admin import AclOperation, AdminClient, OffsetSpec
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from tests.bus import Worker
from tests.nursery import fork
from tests.stack import DEADLINE_S, Stack, wait_until
from tests.threads import running

GIVEN = EVENT_CLASSES[EventType("consent.ConsentGiven")]
WITHDRAWN = EVENT_CLASSES[EventType("consent.ConsentWithdrawn")]
FIELD = "population.Person:date_of_birth"
USER = "consent-tester"
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ConsentPlace:
    """One source of consent events with its state topic, all named after one random agency."""

    stack: Stack
    folder: Path
    agency: AgencyId
    opened: dict[str, GroupPositions] = field(default_factory=dict)

    @classmethod
    def create(cls, stack: Stack, folder: Path) -> ConsentPlace:
        """Topics, grants, committed offsets, schemas and a topic key."""
        place = cls(stack, folder, AgencyId(f"citizens-{secrets.token_hex(4)}"))
        topics = (place.source.name, place.source.dead_letters, place.state)
        stack.create_topics(*topics, partitions=PARTITIONS)
        place._grant(topics)
        place._commit_starts()
        place._register()
        place.topic_key_file.write_text(secrets.token_hex(32))
        place.topic_key_file.chmod(0o600)
        return place

    @cached_property
    def _admin(self) -> AdminClient:
        return self.stack.admin()

    @property
    def source(self) -> SourceTopic:
        return SourceTopic(self.agency, "consent")

    @property
    def state(self) -> str:
        return f"state.{self.agency}.v1"

    @property
    def topic_key_file(self) -> Path:
        return self.folder / "topic-key"

    def territory(self, group: int) -> Territory:
        return Territory(group=group, sources=(self.source,), state=self.state)

    def settings(self, group: int) -> ConsentSettings:
        return ConsentSettings.read(self.settings_file(group))

    def settings_file(self, group: int) -> Path:
        path = self.folder / f"consent-{group}.json"
        document = {
            "name": consent_group(group),
            "environment": "development",
            "bootstrap": self.stack.bootstrap,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "username": USER,
            "password_file": str(self.stack.folder.secrets / f"kafka-{USER}"),
            "registry_url": self.stack.registry_url,
            "health_port": 0,
            "group": group,
            "groups": 2,
            "topic_key_file": str(self.topic_key_file),
        }
        path.write_text(json.dumps(document))
        return path

    @cached_property
    def publisher(self) -> Publisher:
        connection = Connection(
            agency=self.agency,
            bootstrap=self.stack.bootstrap,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="SCRAM-SHA-512",
            username=USER,
            password_file=self.stack.folder.secrets / f"kafka-{USER}",
            registry_url=self.stack.registry_url,
            group_prefix=f"{self.agency}.",
            families_published=("consent",),
            topic_key_file=self.topic_key_file,
        )
        return Publisher.connect(self.agency, connection)

    def give(self, pin: str, id_: str | None = None, **other: Any) -> str:
        """Publish a consent and wait; its id."""
        id_ = id_ or str(uuid4())
        self.publisher.publish(given(pin, id_, **other), subject=Pin(pin)).wait(DEADLINE_S)
        return id_

    def withdraw(self, pin: str, id_: str) -> Published:
        """Publish a withdrawal and wait."""
        return self.publisher.publish(withdrawn(pin, id_), subject=Pin(pin)).wait(DEADLINE_S)

    def close(self) -> None:
        """Let go of the broker."""
        self.publisher.close()
        for positions in self.opened.values():
            positions.close()

    def key(self, pin: str) -> bytes:
        return topic_pseudonym(read_key(self.topic_key_file), Pin(pin)).encode()

    def pins_of(self, group: int) -> Iterator[str]:
        """Random people without end whose events one group folds."""
        people = chain.from_iterable(pins(1) for _ in count())
        return (pin for pin in people if partition_of(self.key(pin)) % 2 == group)

    def states(self) -> list[tuple[int, bytes, SubjectConsents]]:
        """Every committed state in the order of its partition."""
        return [
            (partition, key, SubjectConsents.decode(unframe(value)[1]))
            for partition, key, value, _ in self.read(self.state)
        ]

    def newest(self) -> dict[bytes, SubjectConsents]:
        return {key: state for _, key, state in self.states()}

    def read(self, topic: str) -> list[tuple[int, Any, Any, Any]]:
        """Every committed message of a topic: partition, key, value, headers."""
        consumer = Consumer(
            self.stack.client_config(
                group_id="reader", isolation_level="read_committed", enable_auto_commit=False
            )
        )
        places = [TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)]
        consumer.assign(places)
        ends = {
            p: consumer.get_watermark_offsets(TopicPartition(topic, p), DEADLINE_S)[1]
            for p in range(12)
        }
        found: list[tuple[int, Any, Any, Any]] = []
        while any(max(tp.offset, 0) < ends[tp.partition] for tp in consumer.position(places)):
            for message in consumer.consume(500, timeout=0.1):
                assert message.error() is None
                place = int(message.partition() or 0)
                found.append((place, message.key(), message.value(), message.headers()))
        consumer.close()
        return found

    def committed(self, group: str, topic: str) -> dict[int, int] | None:
        """Stable committed positions by partition; None while they are not stable."""
        places = [(topic, p) for p in range(PARTITIONS)]
        try:
            found = self._positions(group).read(places, timeout_s=0.5)
        except Retryable:
            return None
        return {partition: offset for (_, partition), offset in found.items()}

    def commit(self, group: str, topic: str, positions: dict[int, int]) -> None:
        """Commit positions for a group, again while its coordinator is still loading."""
        places = [TopicPartition(topic, p, offset) for p, offset in positions.items()]

        def is_committed() -> bool:
            try:
                self._positions(group).commit(places)
            except Retryable:
                return False
            return True

        wait_until(is_committed, what=f"the coordinator of {group}")

    def _positions(self, group: str) -> GroupPositions:
        if group not in self.opened:
            self.opened[group] = GroupPositions(self.settings(0), group, client_id="place")
        return self.opened[group]

    def ends(self, topic: str) -> dict[int, int]:
        """High watermarks."""
        latest = dict.fromkeys(
            (TopicPartition(topic, p) for p in range(PARTITIONS)), OffsetSpec.latest()
        )
        found = self._admin.list_offsets(latest, isolation_level=IsolationLevel.READ_UNCOMMITTED)
        return {tp.partition: future.result(DEADLINE_S).offset for tp, future in found.items()}

    def is_folded(self) -> bool:
        """Whether the groups' stable positions are at the ends of the source."""
        ends, stable = self.ends(self.source.name), dict[int, int]()
        for group in map(consent_group, range(2)):
            stable |= self.committed(group, self.source.name) or {}
        return stable == ends

    @contextmanager
    def folding(self, *groups: int) -> Iterator[None]:
        """Both groups (by default) fold in threads of this process while the body runs."""
        stop = Event()
        runs = [
            partial(run, self.settings(group), stop, territory=self.territory(group))
            for group in groups or (0, 1)
        ]
        with running(*runs, stop=stop):
            yield

    def start(
        self,
        group: int,
        *,
        step: Step | None = None,
        signal_: int = 0,
        skip: int = 0,
        supervised: bool = True,
    ) -> Worker:
        """A process of its own; sends itself a signal after the step, having skipped some."""
        plan = [step.value if step else "-", str(int(signal_)), str(skip)]
        command = [
            *(sys.executable, "-m", "tests.integration.consent_process"),
            *(str(self.settings_file(group)), self.agency, *plan),
        ]
        log = self.folder / f"process-{secrets.token_hex(4)}.log"
        begin = partial(fork, command, log=log, cwd=_ROOT, environment={})
        return Worker(consent_group(group), begin, log, supervised)

    def _grant(self, topics: tuple[str, ...]) -> None:
        self.stack.create_user(USER)
        for topic in topics:
            self.stack.grant(USER, AclOperation.READ, AclOperation.WRITE, topic=topic)
        for group in map(consent_group, range(2)):
            self.stack.grant(USER, AclOperation.READ, group=group)
            self.stack.grant(USER, AclOperation.WRITE, transactional_id=group)
        for group in map(enforcement_group, range(2)):
            self.stack.grant(USER, AclOperation.READ, group=group)

    def _commit_starts(self) -> None:
        for group in range(2):
            mine = {p: 0 for p in range(PARTITIONS) if p % 2 == group}
            self.commit(consent_group(group), self.source.name, mine)

    def _register(self) -> None:
        with SchemaRegistryClient({"url": self.stack.registry_url}) as client:
            for topic, document in [
                (self.source.name, GIVEN.contract.document),
                (self.source.name, WITHDRAWN.contract.document),
                (self.state, SUBJECT_CONSENTS.document),
            ]:
                schema = Schema(schema_text(document), "AVRO")
                client.register_schema(subject_name(topic, document), schema)


def given(pin: str, id_: str, *, recipient: str = "bank") -> Any:
    """A ConsentGiven."""
    return GIVEN(
        citizen=GIVEN.Citizen(pin=pin),  # type: ignore[attr-defined]
        consent_id=id_,
        recipient=recipient,
        purpose="credit.check-borrower",
        fields=(FIELD,),
        given_at=datetime.now(UTC),
        valid_until=None,
    )


def withdrawn(pin: str, id_: str, *, recipient: str = "bank") -> Any:
    """A ConsentWithdrawn."""
    return WITHDRAWN(
        citizen=WITHDRAWN.Citizen(pin=pin),  # type: ignore[attr-defined]
        consent_id=id_,
        recipient=recipient,
        purpose="credit.check-borrower",
        withdrawn_at=datetime.now(UTC),
    )


def pins(count: int) -> list[str]:
    """Numbers of nobody."""
    return [f"0012{secrets.randbelow(10**8):08d}" for _ in range(count)]


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by SIGSTOP."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def wake(pid: int) -> None:
    """SIGCONT."""
    os.kill(pid, signal.SIGCONT)
