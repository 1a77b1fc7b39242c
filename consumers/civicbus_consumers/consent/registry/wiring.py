"""Wiring of the registry into the agencies' web process: its worker, its routes, its deaths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from civicbus_producers.kafka import BrokerAccess
from civicbus_producers.publisher import Publisher
from civicbus_producers.settings import Connection, read_key
from civicbus_schemas.page import PageRef
from civicbus_schemas.policy import PolicySet
from sqlalchemy import Engine

from civicbus_consumers.consent.fence import Fence, Holder
from civicbus_consumers.consent.registry import endings
from civicbus_consumers.consent.registry.endings import Endings
from civicbus_consumers.consent.registry.handler import Bench, Catalog
from civicbus_consumers.consent.registry.outbox import Outbox
from civicbus_consumers.consent.registry.sealing import RowSeal
from civicbus_consumers.consent.registry.service import ConsentService
from civicbus_consumers.consent.registry.store import RegistryStore
from civicbus_consumers.consent.registry.worker import RegistryWorker
from civicbus_consumers.lookup.database import PopulationView
from civicbus_consumers.lookup.door import Door
from civicbus_consumers.recording.recorder import Recorder
from civicbus_consumers.recording.settings import VaultSettings
from civicbus_consumers.recording.wiring import open_vault
from civicbus_consumers.runtime.health import Health


class RegistrySettings(BrokerAccess, VaultSettings, Protocol):
    """What the registry reads of its process's settings."""

    @property
    def name(self) -> str: ...
    @property
    def consent_dsn_file(self) -> Path: ...
    @property
    def consent_key_file(self) -> Path: ...
    @property
    def consent_agency_file(self) -> Path: ...
    @property
    def topic_key_file(self) -> Path: ...
    @property
    def answer_timeout_s(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRegistry:
    """The registry of one process. `worker` and `endings` each run in a thread."""

    worker: RegistryWorker
    endings: Endings
    service: ConsentService


def process_of(name: str) -> str:
    """The name of the registry's own chain of pages within that process."""
    return f"{name}-consents"


def build_registry(
    settings: RegistrySettings,
    *,
    engine: Engine,
    door: Door,
    policy: Callable[[], PolicySet],
    begin_recorder: Callable[[PageRef | None], Recorder],
    holders: tuple[Holder, ...],
    health: Health,
) -> ConsentRegistry:
    """The registry on the real broker and database; it connects to the broker when it must."""
    connection = Connection.read(settings.consent_agency_file)
    store, seal = RegistryStore(engine), RowSeal(read_key(settings.consent_key_file))
    bench = Bench(
        store=store,
        view=PopulationView(settings.consent_dsn_file),
        catalog=Catalog(store, policy),
        registrar=connection.agency,
        topic_key=read_key(settings.topic_key_file),
        vault=open_vault(settings),
        seal=seal,
        process=process_of(settings.name),
        names=door.names,
    )
    outbox = Outbox(
        store, seal=seal, connect=lambda: Publisher.connect(connection.agency, connection)
    )
    worker = RegistryWorker(bench, outbox=outbox, begin_recorder=begin_recorder, health=health)
    return ConsentRegistry(
        worker=worker,
        endings=Endings(worker, subscribe=lambda: endings.connect(connection)),
        service=ConsentService(
            door=door,
            worker=worker,
            bench=bench,
            fence=Fence(settings, holders=holders),
            answer_timeout_s=settings.answer_timeout_s,
        ),
    )
