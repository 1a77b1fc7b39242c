"""Wiring of the flags process: settings in, a running worker out."""

from __future__ import annotations

import asyncio
import threading

import structlog
from civicbus_schemas.errors import Retryable

from civicbus_consumers.flags.database import make_engine, migrate
from civicbus_consumers.flags.handler import FlagHandler, OnStep, nothing
from civicbus_consumers.flags.settings import FlagsSettings
from civicbus_consumers.flags.store import FlagStore
from civicbus_consumers.flags.telling import Teller
from civicbus_consumers.flags.watching import ReferenceFile, TopicEnd
from civicbus_consumers.population.positions import align_positions
from civicbus_consumers.population.worker import ViewApp, build_app, serve, without_data
from civicbus_consumers.recording.wiring import recorders
from civicbus_consumers.runtime.health import Health, serving_health
from civicbus_consumers.runtime.process import run_process
from civicbus_consumers.runtime.tracing import configure_tracing
from civicbus_consumers.sealing.settings import RecorderKeys

TEND_S = 1.0

log = structlog.get_logger("civicbus.flags")


def main(arguments: list[str] | None = None) -> int:
    """Run the process that `--settings FILE` describes; its exit code."""
    settings = FlagsSettings.from_command_line(arguments)
    return run_process(settings.name, lambda stop: run(settings, stop))


def run(settings: FlagsSettings, stop: threading.Event, *, on_step: OnStep = nothing) -> None:
    """Migrate, go to the position of the store, then work until asked to stop."""
    configure_tracing(settings.name, endpoint=settings.otlp_endpoint, ratio=settings.trace_ratio)
    with serving_health(settings.health_port) as health:
        engine = make_engine(settings.postgres_dsn_file)
        end = TopicEnd(settings, client_id=f"{settings.name}-end")
        try:
            migrate(engine)
            store = FlagStore(engine)
            align_positions(settings, store.positions, stop=stop)
            handler = FlagHandler(
                store,
                keys=RecorderKeys(settings.recorder_keys_file),
                reference=ReferenceFile(settings.reference_file),
                end=end,
                on_step=on_step,
            )
            teller = Teller(
                store,
                begin_recorder=recorders(settings, process=settings.name),
                end=end,
                position=lambda: handler.position,
            )
            asyncio.run(_work(settings, handler, teller, health=health, stop=stop))
        finally:
            end.close()
            engine.dispose()


async def _work(
    settings: FlagsSettings,
    handler: FlagHandler,
    teller: Teller,
    *,
    health: Health,
    stop: threading.Event,
) -> None:
    app = build_app(settings, handler)
    tending = asyncio.create_task(_tend(handler, teller))
    tending.add_done_callback(lambda task: _report(task, app))
    try:
        await serve(app, health=health, stop=stop)
    finally:
        tending.cancel()


def _report(task: asyncio.Task[None], app: ViewApp) -> None:
    """What ended the tending ends the process."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not app.failure.done():
        app.failure.set_exception(without_data(error))


async def _tend(handler: FlagHandler, teller: Teller) -> None:
    """Each second let time pass and tell what was found."""
    while True:
        await asyncio.sleep(TEND_S)
        await asyncio.to_thread(_tend_once, handler, teller)


def _tend_once(handler: FlagHandler, teller: Teller) -> None:
    try:
        handler.pass_time()
    except Retryable as error:  # the next second tries again
        log.warning("time stands still", error=type(error).__name__)
        return
    teller.tell()
