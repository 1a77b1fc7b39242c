"""Wiring of the look-ups' process: settings in, a serving loop and its one worker out."""

from __future__ import annotations

import gc
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import uvicorn
from civicbus_producers.kafka import client_config, consumer_config, producer_config
from civicbus_producers.registry import Registry
from civicbus_producers.settings import read_key
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.ids import new_recorder_id
from civicbus_schemas.page import PAGE, PageRef
from civicbus_schemas.topics import AUDIT_PAGE
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine
from starlette.applications import Starlette

from civicbus_consumers.consent.registry import database as consent_registry
from civicbus_consumers.consent.registry.uses import RegistryUses
from civicbus_consumers.consent.registry.wiring import build_registry, process_of
from civicbus_consumers.explain.service import ExplainService, LawBook
from civicbus_consumers.lookup.database import PopulationView, make_engine, migrate
from civicbus_consumers.lookup.door import Door, compose
from civicbus_consumers.lookup.leases import LeaseHolders, Leases
from civicbus_consumers.lookup.replies import Bench
from civicbus_consumers.lookup.service import LookupService
from civicbus_consumers.lookup.settings import LookupSettings, read_agency_keys
from civicbus_consumers.lookup.states import PROMPT_S, STATE_PARTITIONS, States
from civicbus_consumers.lookup.token import Keyring, UsedTokens
from civicbus_consumers.lookup.worker import BeginRecorder, Worker
from civicbus_consumers.recording.chain import Chain
from civicbus_consumers.recording.recorder import KafkaPageLog, Recorder
from civicbus_consumers.recording.signing import read_signing_key
from civicbus_consumers.runtime.health import Health, serve_health
from civicbus_consumers.runtime.process import run_process
from civicbus_consumers.runtime.state import StateTail
from civicbus_consumers.runtime.tracing import configure_tracing
from civicbus_consumers.runtime.trust import open_policy

PAGE_BROKER_BYTES = 8 * 1024 * 1024


def main(arguments: list[str] | None = None) -> int:
    """Run the process that `--settings FILE` describes; its exit code."""
    settings = LookupSettings.from_command_line(arguments)
    return run_process(settings.name, lambda stop: run(settings, stop))


def run(settings: LookupSettings, stop: threading.Event) -> None:
    """Load the states, take a lease, then serve until asked to stop."""
    used = UsedTokens(started_at=time.time())
    configure_tracing(settings.name, endpoint=settings.otlp_endpoint, ratio=settings.trace_ratio)
    health = Health()
    probes = serve_health(health, settings.health_port)
    engine = make_engine(settings.postgres_dsn_file)
    consents = consent_registry.make_engine(settings.consent_dsn_file)
    try:
        migrate(engine)
        consent_registry.migrate(consents)
        states = build_states(settings)
        worker = build_worker(settings, states=states, engine=engine, health=health)
        worker.open()
        gc.collect()
        gc.freeze()
        stop.wait(max(0.0, used.ready_at - time.time()))
        serve(settings, worker, states=states, used=used, stop=stop, engines=(engine, consents))
    finally:
        probes.shutdown()
        probes.server_close()
        consents.dispose()
        engine.dispose()


def serve(
    settings: LookupSettings,
    worker: Worker,
    *,
    states: States,
    used: UsedTokens,
    stop: threading.Event,
    engines: tuple[Engine, Engine],
) -> None:
    """Serve while the workers work; raises what ended one. `engines`: leases, consents."""
    door = Door(
        keyring=Keyring(read_agency_keys(settings.agency_keys_file)),
        used=used,
        body_timeout_s=settings.body_timeout_s,
    )
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
    )
    app = compose(*lookups.routes(), *explaining.routes(), *consents.service.routes())
    server = uvicorn.Server(_server_config(settings, app))
    logging.getLogger("uvicorn.error").addFilter(_without_values)
    duties = (worker.run, consents.worker.run, consents.endings.run)
    with _listening(settings) as listener, ThreadPoolExecutor(len(duties), "worker") as threads:
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
    settings: LookupSettings, *, states: States, engine: Engine, health: Health
) -> Worker:
    """The worker on the real broker and database."""
    bench = Bench(
        states=states,
        view=PopulationView(settings.postgres_dsn_file),
        topic_key=read_key(settings.topic_key_file),
        ledger_key=read_key(settings.ledger_key_file),
        reservations=RegistryUses(settings.consent_dsn_file),
    )
    return Worker(
        bench,
        leases=Leases(engine, settings.name),
        begin_recorder=recorders(settings, process=settings.name),
        health=health,
    )


def recorders(settings: LookupSettings, *, process: str) -> BeginRecorder:
    """Makes recorders, each with a producer of its own: a failed one leaves nothing behind."""
    registry = Registry(settings.registry_url)
    schema_id = registry.get_id(AUDIT_PAGE, PAGE.document)
    signer, key = read_signing_key(settings.signing_key_file)
    seal_key = read_key(settings.seal_key_file)

    def begin(closes: PageRef | None) -> Recorder:
        producer = Producer(
            producer_config(
                settings,
                client_id=f"{process}-pages",
                delivery_timeout_s=PROMPT_S,
                max_message_bytes=PAGE_BROKER_BYTES,
            )
        )
        return Recorder(
            KafkaPageLog(producer, schema_id=schema_id, timeout_s=PROMPT_S),
            chain=Chain(process=process, recorder=new_recorder_id(), closes=closes),
            signer=signer,
            key=key,
            seal_key=seal_key,
        )

    return begin


def _server_config(settings: LookupSettings, app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=16 * 1024,
    )


def _listening(settings: LookupSettings) -> socket.socket:
    """A listening socket whose connections send at once.

    An answer is written in two pieces; without TCP_NODELAY, which connections inherit, the second
    waits some 40 ms for the caller's delayed acknowledgement of the first. asyncio sets it on
    sockets that it made itself only.
    """
    try:
        listener = socket.create_server((settings.host, settings.port), backlog=512)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise Unavailable(
            "look-ups cannot listen",
            got=f"{settings.host}:{settings.port}: {error.strerror}",
            next_step="free the port, or choose another",
        ) from None


def _without_values(record: logging.LogRecord) -> bool:
    """Keep of an exception its type: its text, and what it was raised on, may name a person."""
    if record.exc_info and record.exc_info[0]:
        record.msg, record.args = f"failed: {record.exc_info[0].__name__}", ()
        record.exc_info = record.exc_text = None
    return True
