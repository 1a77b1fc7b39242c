"""Fills the index from the ledger's bundles, in a thread that sealing never waits for.

Whatever fails here is reported and tried again; the ledger is complete without an index.
"""

from __future__ import annotations

import threading
from pathlib import Path

import structlog
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.index.database import make_engine, migrate
from civicbus_audit.index.filling import fill, indexed_size
from civicbus_audit.quorum import Trust
from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import published
from civicbus_schemas import telemetry
from civicbus_schemas.errors import BusError
from prometheus_client import Counter
from sqlalchemy import Engine

log = structlog.get_logger("civicbus.index")

_failures = Counter(telemetry.INDEX_FAILURES_TOTAL, "Failures to fill the index, each tried again")


class Indexer:
    """Keeps the index level with the published checkpoint, from `start` to `close`."""

    def __init__(
        self, dsn_file: Path, ledger_dir: Path, trust: Trust, *, retry_s: float = 5.0
    ) -> None:
        self._dsn_file, self._ledger_dir, self._trust = dsn_file, ledger_dir, trust
        self._retry_s = retry_s
        self._engine: Engine | None = None
        self._grown, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="indexer", daemon=True)
        self.size = 0
        self.trouble: str | None = None

    def start(self) -> None:
        """Begin with what is published."""
        self._grown.set()
        self._thread.start()

    def wake(self) -> None:
        """The ledger has grown."""
        self._grown.set()

    def close(self, *, timeout_s: float = 10.0) -> None:
        """End after the batch under way."""
        self._closing.set()
        self._grown.set()
        self._thread.join(timeout_s)
        self._drop_engine()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._grown.wait()
            self._grown.clear()
            try:
                self._fill()
                self.trouble = None
            except BusError as error:
                _failures.inc()
                self.trouble = str(error)
                log.warning("index behind", error=type(error).__name__, why=self.trouble)
                self._drop_engine()
                self._closing.wait(self._retry_s)
                self._grown.set()

    def _fill(self) -> None:
        engine = self._engine or self._connect()
        directory = LedgerDirectory(self._ledger_dir)
        checkpoint, _ = published(directory, self._trust)
        fill(engine, StoredLog(directory.read, checkpoint.size))
        self.size = indexed_size(engine)

    def _connect(self) -> Engine:
        engine = make_engine(self._dsn_file)
        try:
            migrate(engine)
        except BusError:
            engine.dispose()
            raise
        self._engine = engine
        return engine

    def _drop_engine(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
