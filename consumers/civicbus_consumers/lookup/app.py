"""Wiring of the look-ups' process: settings in, a serving loop and its one worker out."""

from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import uvicorn
from civicbus_producers.kafka import client_config, consumer_config
from civicbus_producers.settings import read_key
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine

from civicbus_consumers.consent.registry import database as consent_registry
from civicbus_consumers.consent.registry.tables import day_place
from civicbus_consumers.consent.registry.uses import RegistryUses
from civicbus_consumers.consent.registry.wiring import build_registry, process_of
from civicbus_consumers.explain.service import ExplainService, LawBook
from civicbus_consumers.lookup.bench import Bench
from civicbus_consumers.lookup.database import PopulationView, make_engine, migrate
from civicbus_consumers.lookup.door import Door, compose
from civicbus_consumers.lookup.leases import LeaseHolders, Leases
from civicbus_consumers.lookup.service import LookupService
from civicbus_consumers.lookup.settings import LookupSettings, read_agency_keys
from civicbus_consumers.lookup.states import STATE_PARTITIONS, States
from civicbus_consumers.lookup.token import Keyring, UsedTokens
from civicbus_consumers.lookup.worker import Worker
from civicbus_consumers.recording.naming import NameAllowance
from civicbus_consumers.recording.wiring import open_vault, recorders
from civicbus_consumers.runtime.health import Health, serving_health
from civicbus_consumers.runtime.process import run_process
from civicbus_consumers.runtime.serving import listening, server_config
from civicbus_consumers.runtime.state import StateTail
from civicbus_consumers.runtime.tracing import configure_tracing
from civicbus_consumers.runtime.trust import open_policy


def main(arguments: list[str] | None = None) -> int:
    """Run the process that `--settings FILE` describes; its exit code."""
    settings = LookupSettings.from_command_line(arguments)
    return run_process(settings.name, lambda stop: run(settings, stop))


def run(settings: LookupSettings, stop: threading.Event) -> None:
    """Load the states, take a lease, then serve until asked to stop."""
    used = UsedTokens(started_at=time.time())
    configure_tracing(settings.name, endpoint=settings.otlp_endpoint, ratio=settings.trace_ratio)
    with serving_health(settings.health_port) as health:
        engine = make_engine(settings.postgres_dsn_file)
        consents = consent_registry.make_engine(settings.consent_dsn_file)
        try:
            migrate(engine)
            consent_registry.migrate(consents)
            states = build_states(settings)
            names = settings.allowance()
            worker = build_worker(
                settings, states=states, names=names, engine=engine, health=health
            )
            worker.open()
            gc.collect()
            gc.freeze()
            stop.wait(max(0.0, used.ready_at - time.time()))
            door = Door(
                keyring=Keyring(read_agency_keys(settings.agency_keys_file)),
                used=used,
                body_timeout_s=settings.body_timeout_s,
                names=names,
            )
            engines = (engine, consents)
            serve(
                settings,
                worker,
                states=states,
                door=door,
                engines=engines,
                health=health,
                stop=stop,
            )
        finally:
            consents.dispose()
            engine.dispose()


def serve(
    settings: LookupSettings,
    worker: Worker,
    *,
    states: States,
    door: Door,
    engines: tuple[Engine, Engine],
    health: Health,
    stop: threading.Event,
) -> None:
    """Serve while the workers work; raises what ended one. `engines`: leases, consents."""
    lookups = LookupService(desk=worker, door=door, answer_timeout_s=settings.answer_timeout_s)
    explaining = ExplainService(door=door, book=LawBook(policy=lambda: states.policy))
    leases, registry = engines
    consents = build_registry(
        settings,
        engine=registry,
        door=door,
        policy=lambda: states.policy,
        begin_recorder=recorders(settings, process=process_of(settings.name)),
        holders=(LeaseHolders(leases),),
        health=health.beside(),
    )
    app = compose(*lookups.routes(), *explaining.routes(), *consents.service.routes())
    server = uvicorn.Server(server_config(app, max_connections=settings.max_connections))
    duties = (worker.run, consents.worker.run, consents.endings.run)
    with (
        listening(settings.host, settings.port, what="look-ups") as listener,
        ThreadPoolExecutor(len(duties), "worker") as threads,
    ):
        working = [threads.submit(duty, stop) for duty in duties]
        for one in working:
            one.add_done_callback(lambda _: setattr(server, "should_exit", True))
        try:
            server.run(sockets=[listener])
        finally:
            stop.set()
        for one in working:
            one.result()


def build_states(settings: LookupSettings) -> States:
    """What is known of policy and consents, from the real broker."""
    client_id = settings.name
    tail = StateTail(
        Consumer(consumer_config(settings, client_id=f"{client_id}-state", group=client_id)),
        AdminClient(client_config(settings, client_id=f"{client_id}-ends")),
        STATE_PARTITIONS,
    )
    return States(tail, open_policy=partial(open_policy, trust_file=settings.policy_keys_file))


def build_worker(
    settings: LookupSettings,
    *,
    states: States,
    names: NameAllowance,
    engine: Engine,
    health: Health,
) -> Worker:
    """The worker on the real broker and database."""
    bench = Bench(
        names=names,
        states=states,
        view=PopulationView(settings.postgres_dsn_file),
        topic_key=read_key(settings.topic_key_file),
        vault=open_vault(settings),
        reservations=RegistryUses(settings.consent_dsn_file),
        people=RegistryUses(settings.consent_dsn_file, table=day_place),
    )
    return Worker(
        bench,
        leases=Leases(engine, settings.name),
        begin_recorder=recorders(settings, process=settings.name),
        health=health,
    )
