"""Wiring of the officers' process: settings in, a serving loop and a tended chain of pages out."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import structlog
import uvicorn
from civicbus_audit.index.database import make_engine
from civicbus_audit.places import Places
from civicbus_audit.serving.server import read_token
from civicbus_audit.witness.keys import read_key
from civicbus_schemas.errors import BusError, Retryable
from sqlalchemy import Engine

from civicbus_consumers.lookup.door import compose
from civicbus_consumers.officers.casework import database as casework
from civicbus_consumers.officers.casework.desk import CaseDesk
from civicbus_consumers.officers.casework.service import CaseService
from civicbus_consumers.officers.casework.store import CaseStore
from civicbus_consumers.officers.counter import Counter
from civicbus_consumers.officers.desk import Desk, OnStep, nothing
from civicbus_consumers.officers.export_service import ExportService
from civicbus_consumers.officers.exporting import ExportDesk, LedgerBundles
from civicbus_consumers.officers.journal import Journal
from civicbus_consumers.officers.order_service import OrderService
from civicbus_consumers.officers.pages import PageService
from civicbus_consumers.officers.reading import IndexShelf
from civicbus_consumers.officers.saved.desk import SavedDesk
from civicbus_consumers.officers.saved.service import SavedService
from civicbus_consumers.officers.saved.store import SavedStore
from civicbus_consumers.officers.service import QueryService
from civicbus_consumers.officers.settings import OfficersSettings
from civicbus_consumers.officers.signet import Signet
from civicbus_consumers.officers.token import read_issuers
from civicbus_consumers.officers.tracker import TrackerService
from civicbus_consumers.officers.unread import UnreadClient, UnreadService
from civicbus_consumers.officers.unsealing import LedgerParts, Unsealer
from civicbus_consumers.officers.words import WordBook
from civicbus_consumers.recording.wiring import open_vault, recorders
from civicbus_consumers.runtime.health import Health, serving_health
from civicbus_consumers.runtime.process import run_process
from civicbus_consumers.runtime.serving import listening, server_config
from civicbus_consumers.runtime.tracing import configure_tracing

TEND_S = 0.5

log = structlog.get_logger("civicbus.officers")


def main(arguments: list[str] | None = None) -> int:
    """Run the process that `--settings FILE` describes; its exit code."""
    settings = OfficersSettings.from_command_line(arguments)
    return run_process(settings.name, lambda stop: run(settings, stop))


def run(settings: OfficersSettings, stop: threading.Event, *, on_step: OnStep = nothing) -> None:
    """Serve until asked to stop."""
    configure_tracing(settings.name, endpoint=settings.otlp_endpoint, ratio=settings.trace_ratio)
    with serving_health(settings.health_port) as health:
        engine = make_engine(settings.postgres_dsn_file, reading_s=settings.reading_s)
        cases = casework.make_engine(settings.postgres_dsn_file)
        try:
            casework.migrate(cases)
            desk = build_desk(settings, engine, on_step=on_step)
            unsealer = build_unsealer(settings, engine)
            serve(settings, desk, unsealer, store=CaseStore(cases), health=health, stop=stop)
        finally:
            cases.dispose()
            engine.dispose()


def build_desk(settings: OfficersSettings, engine: Engine, *, on_step: OnStep) -> Desk:
    """The desk on the real broker, index and ledger."""
    journal = Journal(
        begin_recorder=recorders(settings, process=settings.name),
        vault=open_vault(settings),
        allowance=settings.allowance(),
    )
    shelf = IndexShelf(engine=engine, places=_places(settings))
    return Desk(shelf=shelf, journal=journal, on_step=on_step)


def build_unsealer(settings: OfficersSettings, engine: Engine) -> Unsealer:
    """The unsealer on the same, with recorders and a vault of its own."""
    return Unsealer(
        LedgerParts(engine=engine, places=_places(settings)),
        begin_recorder=recorders(settings, process=orders_of(settings.name)),
        vault=open_vault(settings),
    )


def orders_of(name: str) -> str:
    """The name of the unsealer's own chains of pages within that process."""
    return f"{name}-orders"


def build_bundles(settings: OfficersSettings) -> LedgerBundles:
    """What makes bundles, its folder empty."""
    bundles = LedgerBundles(
        places=_places(settings),
        key=read_key(settings.export_key_file),
        folder=settings.exports_dir,
        max_records=settings.export_max_records,
        alone_max=settings.export_alone_max,
        deadline_s=settings.export_s,
    )
    bundles.sweep()
    return bundles


def _places(settings: OfficersSettings) -> Places:
    return Places(
        ledger_dir=settings.ledger_dir,
        vkey_file=settings.ledger_vkey_file,
        policy_file=settings.witness_policy_file,
        dsn_file=settings.postgres_dsn_file,
        vault_key_file=settings.vault_key_file,
        vault_dsn_file=settings.vault_dsn_file,
    )


def serve(
    settings: OfficersSettings,
    desk: Desk,
    unsealer: Unsealer,
    *,
    store: CaseStore,
    health: Health,
    stop: threading.Event,
) -> None:
    """Serve while the chain is tended; raises what ended it."""
    counter = Counter(
        desk=desk,
        issuers=read_issuers(settings.issuers_file),
        signet=Signet(os.urandom(32)),
    )
    queries = QueryService(counter=counter, body_timeout_s=settings.body_timeout_s)
    words = WordBook(settings.policy_sets_dir)
    pages = PageService(counter=counter, words=words, body_timeout_s=settings.body_timeout_s)
    tracker = TrackerService(counter=counter, words=words)
    ordering = OrderService(
        unsealer=unsealer,
        issuers=counter.issuers,
        body_timeout_s=settings.body_timeout_s,
    )
    unread = UnreadService(
        counter=counter,
        unread=UnreadClient(url=settings.unread_url, token=read_token(settings.unread_token_file)),
        body_timeout_s=settings.body_timeout_s,
    )
    cases = CaseService(
        counter=counter,
        desk=CaseDesk(journal=desk.journal, shelf=desk.shelf, store=store),
        body_timeout_s=settings.body_timeout_s,
    )
    saved = SavedService(
        counter=counter,
        desk=SavedDesk(journal=desk.journal, store=SavedStore(store.engine)),
        body_timeout_s=settings.body_timeout_s,
    )
    exports = ExportService(
        counter=counter,
        desk=ExportDesk(desk=desk, bundles=build_bundles(settings)),
        body_timeout_s=settings.body_timeout_s,
    )
    rooms = (queries, pages, tracker, ordering, unread, cases, saved, exports)
    app = compose(*(route for room in rooms for route in room.routes()))
    server = uvicorn.Server(server_config(app, max_connections=settings.max_connections))
    with (
        listening(settings.host, settings.port, what="the officers' process") as listener,
        ThreadPoolExecutor(1, "tending") as threads,
    ):
        tending = threads.submit(tend, desk, health=health, stop=stop)
        tending.add_done_callback(lambda _: setattr(server, "should_exit", True))
        try:
            server.run(sockets=[listener])
        finally:
            stop.set()
        tending.result()


def tend(desk: Desk, *, health: Health, stop: threading.Event) -> None:
    """Keep the chain of pages told, and say whether questions could be answered now."""
    while not stop.wait(TEND_S):
        health.beat()
        tend_once(desk, health)
    try:
        desk.journal.close()
    except Retryable as error:
        log.warning("ended untidily", error=type(error).__name__)


def tend_once(desk: Desk, health: Health) -> None:
    """Ready is who could record a question now, and read its answer."""
    try:
        desk.journal.tend()
    except Retryable as error:
        health.unready("cannot-record")
        log.warning("not recording", error=type(error).__name__)
        return
    try:
        desk.shelf.extent()
    except BusError as error:  # also `Fatal`: an index that is not made yet ends nobody
        health.unready("index-unavailable")
        log.warning("not answering", error=type(error).__name__, why=error.what)
        return
    health.ready()
