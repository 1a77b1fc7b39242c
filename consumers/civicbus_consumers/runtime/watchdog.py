"""Ends the process when one call into librdkafka takes too long.

librdkafka 2.16 can hang for ever in `send_offsets_to_transaction` (its issue 5511). A process that
hangs holds its partitions; one that ends is replaced, and the successor settles its last batch.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_HUNG = 70


class Watchdog:
    """Watches one call at a time of the thread that uses it."""

    def __init__(self, limit_s: float = 45.0) -> None:
        self._limit_s = limit_s
        self._call: tuple[str, float] | None = None
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    @contextmanager
    def watching(self, call: str) -> Iterator[None]:
        """End the process with `EXIT_HUNG` if the body is not left within the limit."""
        self._call = (call, time.monotonic() + self._limit_s)
        try:
            yield
        finally:
            self._call = None

    def _watch(self) -> None:
        while True:
            time.sleep(min(1.0, self._limit_s / 4))
            call = self._call
            if call is not None and time.monotonic() > call[1]:
                print(f"watchdog: {call[0]} hung for {self._limit_s} s", file=sys.stderr)  # noqa: T201
                os._exit(EXIT_HUNG)
