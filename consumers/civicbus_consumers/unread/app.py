"""Wiring of the process that knows what lies unread: settings in, a serving loop out."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import uvicorn
from civicbus_audit.serving.server import read_token
from civicbus_schemas.errors import BusError

from civicbus_consumers.lookup.door import compose
from civicbus_consumers.runtime.health import Health, serving_health
from civicbus_consumers.runtime.process import run_process
from civicbus_consumers.runtime.serving import listening, server_config
from civicbus_consumers.unread.reading import Deliveries
from civicbus_consumers.unread.service import UnreadService
from civicbus_consumers.unread.settings import UnreadSettings

LOOK_S = 1.0


def main(arguments: list[str] | None = None) -> int:
    """Run the process that `--settings FILE` describes; its exit code."""
    settings = UnreadSettings.from_command_line(arguments)
    return run_process(settings.name, lambda stop: run(settings, stop))


def run(settings: UnreadSettings, stop: threading.Event) -> None:
    """Serve until asked to stop."""
    deliveries = Deliveries(settings)
    service = UnreadService(
        deliveries=deliveries,
        token=read_token(settings.token_file),
        body_timeout_s=settings.body_timeout_s,
    )
    with serving_health(settings.health_port) as health:
        app = compose(*service.routes())
        server = uvicorn.Server(server_config(app, max_connections=settings.max_connections))
        with (
            listening(settings.host, settings.port, what="what lies unread") as listener,
            ThreadPoolExecutor(1, "looking") as threads,
        ):
            looking = threads.submit(look, deliveries, health, stop)
            looking.add_done_callback(lambda _: setattr(server, "should_exit", True))
            try:
                server.run(sockets=[listener])
            finally:
                stop.set()
            looking.result()


class Asked(Protocol):
    """What the answers stand on; a call raises `BusError`."""

    def check(self) -> None:
        """Nothing, where it answers."""
        ...


def look(asked: Asked, health: Health, stop: threading.Event) -> None:
    """Say whether a question could be answered now, until `stop` is set."""
    while not stop.is_set():
        health.beat()
        try:
            asked.check()
            health.ready()
        except BusError as error:
            health.unready(str(error))
        stop.wait(LOOK_S)
