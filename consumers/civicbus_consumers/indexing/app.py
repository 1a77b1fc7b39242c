"""The indexing process: settings, health, and the loop that goes on until it is told to stop."""

from __future__ import annotations

import threading

import structlog
from civicbus_schemas import telemetry
from civicbus_schemas.errors import BusError
from prometheus_client import Counter, Gauge

from civicbus_consumers.indexing.indexer import Indexer
from civicbus_consumers.indexing.settings import IndexingSettings
from civicbus_consumers.runtime.health import Health, serving_health
from civicbus_consumers.runtime.process import run_process

log = structlog.get_logger("civicbus.indexing")

LOOK_S = 0.1
RETRY_S = 1.0

_failures = Counter(telemetry.INDEX_FAILURES_TOTAL, "Failures to fill the index, each tried again")
_backlog = Gauge(telemetry.INDEX_BACKLOG, "Leaves that the index has not yet")


def main(arguments: list[str] | None = None) -> int:
    """Run the process that `--settings FILE` describes; its exit code."""
    settings = IndexingSettings.from_command_line(arguments)
    return run_process(settings.name, lambda stop: run(settings, stop))


def run(settings: IndexingSettings, stop: threading.Event) -> None:
    """Index what is published until `stop` is set; raises `Refused` for bad settings alone."""
    indexer = Indexer(settings.places)
    with serving_health(settings.health_port) as health:
        _backlog.set_function(lambda: max(0, indexer.published - indexer.size))
        try:
            while not stop.is_set():
                health.beat()
                stop.wait(_step(indexer, health))
        finally:
            indexer.close()


def _step(indexer: Indexer, health: Health) -> float:
    """Index a batch; how long to wait then. What fails is told and tried again, whatever it is."""
    try:
        more = indexer.index_next()
    except BusError as error:
        _failures.inc()
        health.unready(str(error))
        log.warning("index behind", error=type(error).__name__, why=str(error))
        return RETRY_S
    health.ready()
    return 0.0 if more else LOOK_S
