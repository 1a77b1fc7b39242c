"""Fills the index from the ledger's bundles, batch by batch; each is one transaction.

Rows and how far they go are committed together, so that an end at any moment repeats and skips
nothing. The ledger is complete without an index.
"""

from __future__ import annotations

import time

from civicbus_audit.index.database import make_engine, migrate
from civicbus_audit.index.filling import fill_batch, indexed_size
from civicbus_audit.places import Places
from civicbus_audit.pruning import open_log
from civicbus_audit.verify import published
from civicbus_schemas.errors import BusError
from sqlalchemy import Engine

ASK_S = 1.0
"""How often an idle process asks the index how far it is; a database that is gone is told then."""


class Indexer:
    """Brings the index level with the published checkpoint.

    `published` and `size` say how far ledger and index were when this was last asked.
    """

    def __init__(self, places: Places) -> None:
        self._places, self._trust = places, places.trust()
        self._engine: Engine | None = None
        self.published = self.size = self._first = 0
        self._ask_at = 0.0  # when the index is asked again though there is nothing to do

    def index_next(self) -> bool:
        """Index the next batch of what is published, forget what was pruned; whether there was one.

        Raises `BusError`; whatever it is, the next call connects anew and goes on from where the
        index is.
        """
        directory = self._places.directory()
        checkpoint, _ = published(directory, self._trust)
        self.published = checkpoint.size
        # the log in its published size: of others it may hold no tiles
        log = open_log(directory.read, checkpoint.size)
        so_far = None if self._engine is None else (self.size, self._first)
        level = so_far == (checkpoint.size, log.first)
        if level and time.monotonic() < self._ask_at:
            return False
        try:
            engine = self._connected()
            added = 0 if level else fill_batch(engine, log)
            self.size, self._first = indexed_size(engine), log.first
            self._ask_at = time.monotonic() + ASK_S
        except BusError:
            self.close()
            raise
        return added > 0

    def close(self) -> None:
        """Let go of the database."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _connected(self) -> Engine:
        if self._engine is None:
            self._engine = make_engine(self._places.dsn_file)
            migrate(self._engine)
        return self._engine
