"""Wiring of the population process: settings in, a running worker out."""

from __future__ import annotations

import asyncio
import threading

from civicbus_producers.registry import Registry

from civicbus_consumers.population.database import make_engine, migrate
from civicbus_consumers.population.handler import OnStep, ViewHandler, nothing
from civicbus_consumers.population.incoming import Decoder
from civicbus_consumers.population.positions import align_positions
from civicbus_consumers.population.settings import PopulationSettings
from civicbus_consumers.population.store import ViewStore
from civicbus_consumers.population.transport import SCHEME
from civicbus_consumers.population.worker import build_app, serve
from civicbus_consumers.runtime.health import serving_health
from civicbus_consumers.runtime.process import run_process
from civicbus_consumers.runtime.tracing import configure_tracing


def main(arguments: list[str] | None = None) -> int:
    """Run the process that `--settings FILE` describes; its exit code."""
    settings = PopulationSettings.from_command_line(arguments)
    return run_process(settings.name, lambda stop: run(settings, stop))


def run(
    settings: PopulationSettings,
    stop: threading.Event,
    *,
    on_step: OnStep = nothing,
    scheme: str = SCHEME,
) -> None:
    """Migrate, go to the view's positions, then work until asked to stop."""
    configure_tracing(settings.name, endpoint=settings.otlp_endpoint, ratio=settings.trace_ratio)
    with serving_health(settings.health_port) as health:
        engine = make_engine(settings.postgres_dsn_file)
        try:
            migrate(engine)
            with ViewStore(engine) as store:
                align_positions(settings, store.positions, stop=stop)
                handler = ViewHandler(
                    Decoder(Registry(settings.registry_url)), store, on_step=on_step
                )

                async def work() -> None:
                    app = build_app(settings, handler, scheme=scheme)
                    await serve(app, health=health, stop=stop)

                asyncio.run(work())
        finally:
            engine.dispose()
