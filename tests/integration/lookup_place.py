"""A provisioned bus with a population view of a few invented people, and agencies that look up."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx
from civicbus_consumers.lookup.database import make_engine
from civicbus_consumers.lookup.leases import LeaseHolders
from civicbus_consumers.lookup.token import make_token
from civicbus_consumers.population import database as population
from civicbus_consumers.runtime.partitioning import partition_of
from civicbus_producers.registry import Registry
from civicbus_producers.settings import read_key
from civicbus_schemas.codec import frame, unframe
from civicbus_schemas.consent import SUBJECT_CONSENTS, Consent, SubjectConsents
from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.page import HeaderLeaf, Page
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.record import Record
from civicbus_schemas.topics import AUDIT_PAGE, STATE_CONSENT
from confluent_kafka import Producer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from psycopg import connect

from tests.bus import Bus, Worker
from tests.stack import DEADLINE_S
from tests.unit import lookup_samples as samples
from tests.unit.lookup_samples import VSS, asked

PATH = "/v1/lookups"


@dataclass
class LookupPlace:
    """The look-ups of one bus."""

    bus: Bus
    worker: Worker | None = None

    def settle(self, *people: dict[str, Any]) -> None:
        """Put people into the view."""
        dsn_file = self.bus.stack.dsn_file("population")
        engine = population.make_engine(dsn_file)
        population.migrate(engine)
        engine.dispose()
        with connect(dsn_file.read_text().strip()) as connection:
            for values in people:
                columns = connection.execute(
                    "select column_name from information_schema.columns"
                    " where table_schema = 'population' and table_name = 'person'"
                ).fetchall()
                row = {
                    name: b"\x01" if name.endswith("_v") else values.get(name)
                    for (name,) in columns
                } | {"number": values["pin"]}
                names, marks = ", ".join(row), ", ".join(f"%({name})s" for name in row)
                statement = f"insert into population.person ({names}) values ({marks})"  # noqa: S608
                connection.execute(statement.encode(), row)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Whatever serves is ended with the body."""
        try:
            yield
        finally:
            if self.worker is not None:
                self.worker.kill()

    def serve(self) -> Worker:
        """The process that serves, started if none does."""
        if self.worker is None or self.worker.process.poll() is not None:
            self.worker = Worker.start(self.bus, "lookup")
            self.bus.wait(self._is_ready, "look-ups to be ready")
        return self.worker

    def end(self) -> None:
        """Ask it to end, if it serves."""
        if self.worker is not None and self.worker.process.poll() is None:
            assert self.worker.stop() == 0, self.worker.log.read_text()[-2000:]

    def _is_ready(self) -> bool:
        assert self.worker is not None
        self.worker.tend()
        assert self.worker.process.poll() is None, self.worker.log.read_text()[-2000:]
        return self.bus.is_ready("lookup")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.bus.stack.ports['lookup']}"

    def key(self, agency: AgencyId) -> Ed25519PrivateKey:
        """The agency's provisioned token key."""
        path = self.bus.connection(agency).token_key_file
        assert path is not None
        key = load_pem_private_key(path.read_bytes(), password=None)
        assert isinstance(key, Ed25519PrivateKey)
        return key

    def look_up(
        self, document: dict[str, Any] | None = None, *, agency: AgencyId = VSS, **headers: str
    ) -> httpx.Response:
        """One look-up with a fresh token."""
        token = make_token(agency, self.key(agency), now=time.time())
        given = {"Authorization": f"Bearer {token}"} | headers
        return httpx.post(self.url + PATH, json=document or asked(), headers=given, timeout=20)

    def code(self, document: dict[str, Any] | None = None, *, agency: AgencyId = VSS) -> str:
        """`result`, or why there is none."""
        told = self.look_up(document, agency=agency).json()
        return str(told.get("code", "result"))

    @cached_property
    def _state(self) -> tuple[Producer, int]:
        schema_id = Registry(self.bus.stack.registry_url).get_id(
            STATE_CONSENT, SUBJECT_CONSENTS.document
        )
        return Producer(self.bus.stack.client_config(partitioner="murmur2_random")), schema_id

    def consent(self, *consents: Consent, pin: Pin = samples.LAN) -> tuple[int, int]:
        """Make this the state of a subject's consents; partition and next offset of the state."""
        producer, schema_id = self._state
        key = topic_pseudonym(read_key(self.bus.stack.folder.secrets / "topic-key"), pin).encode()
        places: list[tuple[int, int]] = []
        producer.produce(
            STATE_CONSENT,
            key=key,
            value=frame(schema_id, SubjectConsents(consents).encode()),
            on_delivery=lambda _, m: places.append((m.partition() or 0, (m.offset() or 0) + 1)),
        )
        assert producer.flush(DEADLINE_S) == 0
        assert places[0][0] == partition_of(key)
        return places[0]

    def fence_position(self, partition: int) -> int:
        """Where the leases stand, as a fence asks."""
        engine = make_engine(self.bus.stack.dsn_file("lookup"))
        try:
            return LeaseHolders(engine).position(STATE_CONSENT, partition)
        finally:
            engine.dispose()

    def lease_for(self, interval: str) -> None:
        """Let all leases end in so long by the database's clock; nobody is told."""
        with connect(self.bus.stack.dsn_file("lookup").read_text().strip()) as connection:
            later = "update lookup.lease set expires_at = clock_timestamp() + %s::interval"
            connection.execute(later, [interval])

    def pages(self) -> list[tuple[HeaderLeaf, list[bytes], Page]]:
        """Every durable page of look-ups: header, leaves, page."""
        pages = [
            Page.decode(unframe(bytes(message.value() or b""))[1])
            for message in self.bus.read_all(AUDIT_PAGE)
        ]
        return [(HeaderLeaf.decode(page.header), list(page.records), page) for page in pages]

    def records(self) -> dict[str, tuple[Record, bytes]]:
        """Every durable record and its leaf, by id."""
        leaves = [leaf for _, records, _ in self.pages() for leaf in records]
        return {record.id: (record, leaf) for leaf in leaves for record in [Record.decode(leaf)]}


def person(**changes: Any) -> dict[str, Any]:
    """The samples' woman as a row."""
    return dict(samples.person().values) | changes


def is_told(text: str) -> bool:
    """Whether a text names any person of the samples."""
    return any(value in text for value in samples.PERSONAL)


def body(response: httpx.Response) -> str:
    """All that a caller sees."""
    return json.dumps(dict(response.headers)) + response.text
