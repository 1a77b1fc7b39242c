"""Delivery topics and a database of a test's own, and a population process that reads them.

The agency has a random name, so that tests on the shared broker never meet.
"""

from __future__ import annotations

import json
import secrets
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from threading import Event
from typing import Any

from civicbus_consumers.population.app import run
from civicbus_consumers.population.database import make_engine
from civicbus_consumers.population.hashing import view_hash
from civicbus_consumers.population.reading import PersonRow, read_person
from civicbus_consumers.population.settings import PopulationSettings
from civicbus_consumers.population.transport import SCHEME
from civicbus_producers.registry import schema_text, subject_name
from civicbus_schemas.ids import EventType, Pin, family_of
from confluent_kafka import Producer
from confluent_kafka.admin import AclOperation
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from psycopg import Connection, connect
from sqlalchemy import Engine

from tests.fakes.population import CHILD, TYPES, Sample, delivered_schema
from tests.nursery import Child, fork
from tests.stack import DEADLINE_S, Stack, wait_until
from tests.threads import running

PARTITIONS = 3
_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class PopulationPlace:
    """The population agency of one test: its topics, its view, its process."""

    stack: Stack
    folder: Path
    agency: str = field(default_factory=lambda: f"npd-{secrets.token_hex(4)}")

    @classmethod
    def create(cls, stack: Stack, folder: Path) -> PopulationPlace:
        """Topics, a user who may read them, schemas, an empty database."""
        place = cls(stack, folder)
        place.dsn_file.write_text(stack.create_database())
        place.dsn_file.chmod(0o600)
        stack.create_topics(*place.settings.topics, partitions=PARTITIONS)
        stack.create_user(place.agency)
        for topic in place.settings.topics:
            stack.grant(place.agency, AclOperation.READ, AclOperation.DESCRIBE, topic=topic)
        stack.grant(place.agency, AclOperation.READ, group=f"{place.agency}.", prefixed=True)
        return place

    @property
    def dsn_file(self) -> Path:
        return self.folder / "postgres-dsn"

    @property
    def settings_file(self) -> Path:
        path = self.folder / "population.json"
        document = {
            "name": "population",
            "environment": "development",
            "bootstrap": self.stack.bootstrap,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "username": self.agency,
            "password_file": str(self.stack.folder.secrets / f"kafka-{self.agency}"),
            "registry_url": self.stack.registry_url,
            "health_port": 0,
            "agency": self.agency,
            "postgres_dsn_file": str(self.dsn_file),
        }
        path.write_text(json.dumps(document))
        return path

    @cached_property
    def settings(self) -> PopulationSettings:
        return PopulationSettings.read(self.settings_file)

    @cached_property
    def engine(self) -> Engine:
        return make_engine(self.dsn_file)

    @cached_property
    def schema_ids(self) -> dict[EventType, int]:
        """The registered ids of the delivered types."""
        with SchemaRegistryClient({"url": self.stack.registry_url}) as client:
            return {
                type_: client.register_schema(
                    subject_name(self.topic(type_), delivered_schema(type_)),
                    Schema(schema_text(delivered_schema(type_)), "AVRO"),
                )
                for type_ in TYPES
            }

    @cached_property
    def producer(self) -> Producer:
        return Producer(self.stack.client_config(linger_ms=5))

    def topic(self, type_: EventType) -> str:
        return f"dlv.{self.agency}.{family_of(type_)}.v1"

    def deliver(self, *samples: Sample, producer: Producer | None = None) -> None:
        """Put deliveries on the topics; those of a key stay in order."""
        producer = producer or self.producer
        for sample in samples:
            key = str(next(iter(_numbers(sample.datum))))
            producer.produce(
                self.topic(sample.type),
                sample.value(self.schema_ids[sample.type]),
                partition=int(key[-4:]) % PARTITIONS if key[-4:].isdigit() else 0,
                key=secrets.token_hex(16),
                headers=sample.headers(),
            )
            producer.poll(0)
        assert producer.flush(DEADLINE_S) == 0

    def abort(self, *samples: Sample) -> None:
        """Put deliveries on the topics in a transaction that is aborted."""
        producer = Producer(
            self.stack.client_config(transactional_id=f"{self.agency}-{secrets.token_hex(4)}")
        )
        producer.init_transactions(DEADLINE_S)
        producer.begin_transaction()
        self.deliver(*samples, producer=producer)
        producer.abort_transaction(DEADLINE_S)

    def commit(self, *samples: Sample) -> None:
        """Put deliveries on the topics in a transaction that is committed."""
        producer = Producer(
            self.stack.client_config(transactional_id=f"{self.agency}-{secrets.token_hex(4)}")
        )
        producer.init_transactions(DEADLINE_S)
        producer.begin_transaction()
        self.deliver(*samples, producer=producer)
        producer.commit_transaction(DEADLINE_S)

    @contextmanager
    def working(self, *, scheme: str = SCHEME) -> Iterator[None]:
        """The process works in a thread of this one while the body runs."""
        stop = Event()
        work = partial(run, self.settings, stop, scheme=scheme)
        with running(work, stop=stop):
            yield

    def start(self, *, step: str = "-", skip: int = 0) -> Child:
        """A process of its own; it kills itself after the step, having skipped some."""
        command = [
            *(sys.executable, "-m", "tests.integration.population_process"),
            *(str(self.settings_file), step, str(skip)),
        ]
        log = self.folder / f"process-{secrets.token_hex(4)}.log"
        return fork(command, log=log, cwd=_ROOT, environment={})

    def logs(self) -> str:
        """All that the processes wrote."""
        return "\n".join(path.read_text() for path in self.folder.glob("process-*.log"))

    @contextmanager
    def connected(self) -> Iterator[Connection[Any]]:
        with connect(self.dsn_file.read_text()) as connection:
            yield connection

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of the view's schema; none while it is not there."""
        with self.connected() as connection:
            connection.execute("set search_path to population")
            if not connection.execute("select to_regclass('state')").fetchone()[0]:  # type: ignore[index]
                return []
            return connection.execute(statement.encode()).fetchall()

    def applied(self) -> int:
        """How many deliveries the view has counted."""
        rows = self.query("select deliveries from state")
        return int(rows[0][0]) if rows else 0

    def wait_applied(self, count: int) -> None:
        wait_until(lambda: self.applied() >= count, what=f"{count} deliveries to be applied")

    def person(self, number: str = CHILD) -> PersonRow | None:
        with self.connected() as connection:
            return read_person(connection, Pin(number))

    def refusals(self) -> list[str]:
        return [row[0] for row in self.query("select reason from quarantine order by 1")]

    def hash(self) -> str:
        with self.engine.connect() as connection:
            return view_hash(connection)

    def close(self) -> None:
        self.engine.dispose()


def _numbers(datum: Any) -> Iterator[str]:
    if isinstance(datum, dict):
        if isinstance(datum.get("pin"), str):
            yield datum["pin"]
        for value in datum.values():
            yield from _numbers(value)


def end(process: Child) -> int:
    """SIGTERM, and the exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(DEADLINE_S)


def births(count: int) -> Iterable[Sample]:
    """Births of different children."""
    from tests.fakes.population import BIRTH, birth

    return [Sample(type=BIRTH, datum=birth(f"0013{n:08d}")) for n in range(count)]
