"""The registry's routes with a worker on fakes, asked through HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
from civicbus_consumers.consent.fence import Passed
from civicbus_consumers.consent.registry.handler import Bench, Catalog
from civicbus_consumers.consent.registry.outbox import Outbox
from civicbus_consumers.consent.registry.sealing import RowSeal
from civicbus_consumers.consent.registry.service import ConsentService
from civicbus_consumers.consent.registry.worker import RegistryWorker
from civicbus_consumers.lookup.door import Door, compose
from civicbus_consumers.lookup.token import Keyring, UsedTokens
from civicbus_consumers.recording.naming import NameAllowance
from civicbus_consumers.runtime.health import Health
from civicbus_producers.testing import UnsafeMemoryLog, UnsafeMemoryPublisher
from civicbus_schemas.errors import Overdue, Refused
from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.record import Record

from tests.fakes.lookup import FakePages, FakeView
from tests.fakes.publisher import fake_publisher
from tests.fakes.registry import FakeRegistryStore
from tests.fakes.vault import FakeVault
from tests.unit import lookup_samples as samples
from tests.unit import registry_samples as acts
from tests.unit.lookup_office import bearer
from tests.unit.registry_samples import BANK, LAN, NAME, VNEID


@dataclass
class FakeFence:
    """A fence that has passed, or is overdue."""

    overdue: bool = False
    asked: list[tuple[str, int, int]] = field(default_factory=list)

    def wait(self, topic: str, partition: int, offset: int, *, timeout_s: float) -> Passed:
        """Keep what is asked."""
        del timeout_s
        self.asked.append((topic, partition, offset))
        if self.overdue:
            raise Overdue("not yet")
        return Passed(partition=partition, position=offset + 1, seconds=0.01)


@dataclass
class RegistryOffice:
    """A registry whose people are the samples' woman, her child and a stranger."""

    store: FakeRegistryStore = field(default_factory=FakeRegistryStore)
    view: FakeView = field(default_factory=lambda: FakeView(dict(acts.PEOPLE)))
    pages: FakePages = field(default_factory=FakePages)
    fence: FakeFence = field(default_factory=FakeFence)
    log: UnsafeMemoryLog = field(default_factory=UnsafeMemoryLog)
    silent_broker: bool = False
    unknown_schema: bool = False
    vault: FakeVault = field(default_factory=FakeVault)
    names: NameAllowance = field(default_factory=NameAllowance)
    health: Health = field(default_factory=Health)

    def __post_init__(self) -> None:
        seal = RowSeal(b"c" * 32)
        self.bench = Bench(
            store=self.store,
            view=self.view,
            catalog=Catalog(self.store, samples.policy),
            registrar=VNEID,
            topic_key=samples.TOPIC_KEY,
            vault=self.vault,
            seal=seal,
            process="lookup-consents",
            names=self.names,
        )
        self.worker = RegistryWorker(
            self.bench,
            outbox=Outbox(self.store, seal=seal, connect=self._connect),
            begin_recorder=lambda closes: samples.recorder(self.pages, closes),
            health=self.health,
            poll_s=0.005,
        )
        public = samples.SIGNER.public_key().public_bytes_raw()
        door = Door(
            keyring=Keyring({AgencyId(name): public for name in ("vneid", "bank", "vss")}),
            used=UsedTokens(started_at=time.time() - 10),
            body_timeout_s=0.3,
            names=self.names,
        )
        self.service = ConsentService(
            door=door,
            worker=self.worker,
            bench=self.bench,
            fence=self.fence,
            answer_timeout_s=10.0,
        )
        self.app = compose(*self.service.routes())

    def _connect(self) -> UnsafeMemoryPublisher:
        if self.unknown_schema:
            raise Refused("no such schema is registered")
        publisher = fake_publisher("vneid", families=["consent"], log=self.log)
        publisher.producer.fails_and_did_not_persist = self.silent_broker
        return publisher

    @contextmanager
    def working(self) -> Iterator[None]:
        """The worker works while the body runs; raises what ended it."""
        stop = threading.Event()
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(self.worker.run, stop)
            try:
                yield
            finally:
                stop.set()
            running.result(10)

    def call(
        self, path: str, body: Any = None, *, agency: AgencyId = VNEID, **headers: str
    ) -> httpx.Response:
        """One call, with a body or else to read; the worker works meanwhile."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://bus") as client:
                method = "GET" if body is None else "POST"
                given = bearer(agency) | headers
                url = f"/v1/consents/{path}"
                return await client.request(method, url, json=body, headers=given)

        with self.working():
            return asyncio.run(ask())

    @property
    def records(self) -> list[Record]:
        """The durable records."""
        return [Record.decode(leaf) for page in self.pages.pages for leaf in page.records]

    @property
    def events(self) -> list[Any]:
        """What the bus was told, as messages."""
        return [
            message
            for partitions in self.log.topics.values()
            for partition in partitions
            for message in partition
        ]


def asking(**changes: Any) -> dict[str, Any]:
    """The bank's request as a body."""
    return {
        "consent_id": acts.ID,
        "pin": LAN.number,
        "full_name": samples.NAME,
        "date_of_birth": samples.BORN.isoformat(),
        "purpose": samples.CREDIT,
        "fields": [NAME],
    } | changes


def giving(**changes: Any) -> dict[str, Any]:
    """The woman's consent as a body."""
    return {
        "consent_id": acts.ID,
        "pin": LAN.number,
        "signer": signer(LAN),
        "recipient": BANK,
        "purpose": samples.CREDIT,
        "fields": [NAME],
        "shown": acts.giving().shown,
    } | changes


def altering(**changes: Any) -> dict[str, Any]:
    """A change of hers as a body."""
    return {"consent_id": acts.ID, "pin": LAN.number, "signer": signer(LAN)} | changes


def signer(pin: Pin) -> dict[str, Any]:
    """Somebody who signs with level 2."""
    return {"pin": pin.number, "eid_level": 2}


NEXT_YEAR = (acts.AT + timedelta(days=3650)).isoformat()
