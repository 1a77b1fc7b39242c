"""How often the scrubber passes, and how little of a core it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_NAP_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How often (in seconds), and how much of one core at most."""

    hot_s: float = 60.0
    whole_s: float = 86_400.0
    again_s: float = 600.0
    share: float = 0.1


class Stopping(Exception):
    """The process ends; the pass under way does, too."""


class Throttle:
    """Sleeps so long that its thread computes no more than a share of the time."""

    def __init__(
        self,
        share: float,
        stop: threading.Event,
        *,
        used_s: Callable[[], float] = time.thread_time,
    ) -> None:
        self._rest = (1 - share) / share
        self._stop, self._used_s, self._since = stop, used_s, used_s()

    def __call__(self) -> None:
        """Pay for what was computed since the last call; raises `Stopping` when it is time to."""
        owed_s = (self._used_s() - self._since) * self._rest
        if owed_s >= _NAP_S:
            self._stop.wait(owed_s)
            self._since = self._used_s()
        if self._stop.is_set():
            raise Stopping
