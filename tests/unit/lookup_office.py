"""A look-up service with a worker on fakes, asked through HTTP."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from civicbus_consumers.consent.uses import NoneLeft, Reservations
from civicbus_consumers.explain.service import ExplainService, LawBook
from civicbus_consumers.lookup.bench import Bench
from civicbus_consumers.lookup.door import Door, compose
from civicbus_consumers.lookup.service import LookupService
from civicbus_consumers.lookup.token import Keyring, UsedTokens, make_token
from civicbus_consumers.lookup.worker import Worker
from civicbus_consumers.recording.naming import NameAllowance
from civicbus_consumers.runtime.health import Health
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.page import HeaderLeaf, PageHeader
from civicbus_schemas.record import Record

from tests.fakes.lookup import FakeLeases, FakePages, FakeStates, FakeView
from tests.fakes.vault import FakeVault
from tests.unit import lookup_samples as samples
from tests.unit.lookup_samples import VSS, asked

Answer = httpx.Response
Steps = Callable[[httpx.AsyncClient], Awaitable[Any]]
PATH = "/v1/lookups"


@dataclass
class Office:
    """A service with a worker on fakes; every agency has the samples' key."""

    states: FakeStates = field(default_factory=samples.states)
    view: FakeView = field(default_factory=lambda: FakeView({samples.LAN: samples.person()}))
    pages: FakePages = field(default_factory=FakePages)
    leases: FakeLeases = field(default_factory=FakeLeases)
    health: Health = field(default_factory=Health)
    vault: FakeVault = field(default_factory=FakeVault)
    names: NameAllowance = field(default_factory=NameAllowance)
    reservations: Reservations = field(default_factory=NoneLeft)
    answer_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        bench = Bench(
            states=self.states,
            view=self.view,
            topic_key=samples.TOPIC_KEY,
            vault=self.vault,
            names=self.names,
            reservations=self.reservations,
        )
        self.worker = Worker(
            bench,
            leases=self.leases,
            begin_recorder=lambda closes: samples.recorder(self.pages, closes),
            health=self.health,
        )
        public = samples.SIGNER.public_key().public_bytes_raw()
        door = Door(
            keyring=Keyring(
                {AgencyId(name): public for name in ("vss", "bank", "moj", "hospital-cho-ray")}
            ),
            used=UsedTokens(started_at=time.time() - 10),
            body_timeout_s=0.3,
            names=self.names,
        )
        lookups = LookupService(desk=self.worker, door=door, answer_timeout_s=self.answer_timeout_s)
        explaining = ExplainService(door=door, book=LawBook(policy=samples.policy))
        self.app = compose(*lookups.routes(), *explaining.routes())

    @contextmanager
    def working(self) -> Iterator[None]:
        """The worker works while the body runs; raises what ended it."""
        stop = threading.Event()
        self.worker.open()
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(self.worker.run, stop)
            try:
                yield
            finally:
                stop.set()
            running.result(10)

    def ask(self, steps: Steps) -> Any:
        """What these steps of a client come to, while the worker works."""
        with self.working():
            return self.serve(steps)

    def serve(self, steps: Steps) -> Any:
        """What these steps come to, whoever works."""

        async def client() -> Any:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://bus") as made:
                return await steps(made)

        return asyncio.run(client())

    def look_up(self, document: Any = None, *, agency: AgencyId = VSS, **headers: str) -> Answer:
        """One look-up."""
        answer = self.ask(lambda client: post(client, document, agency=agency, **headers))
        assert isinstance(answer, Answer)
        return answer

    @property
    def headers(self) -> list[PageHeader]:
        """The headers of the durable pages."""
        return [HeaderLeaf.decode(page.header).header for page in self.pages.pages]

    @property
    def records(self) -> list[Record]:
        """The durable records."""
        return [Record.decode(leaf) for page in self.pages.pages for leaf in page.records]


def bearer(agency: AgencyId = VSS) -> dict[str, str]:
    """The header of a fresh token."""
    token = make_token(agency, samples.SIGNER, now=time.time())
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


async def post(
    client: httpx.AsyncClient,
    document: Any = None,
    *,
    agency: AgencyId = VSS,
    path: str = PATH,
    **headers: str,
) -> Answer:
    """Post one look-up, or another request."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = document if isinstance(document, bytes) else json.dumps(document or asked())
    return await client.post(path, content=body, headers=bearer(agency) | named)
