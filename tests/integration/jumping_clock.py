"""A wall clock that somebody sets hours ahead and back, for a process of a test's own.

Only the time of day jumps, as when an operator or NTP sets it; seconds that are counted
(`time.monotonic`) go on. No library is preloaded: a fresh machine has none.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import datetime, tzinfo
from random import Random
from typing import Any

HOURS = 72


class JumpingClock:
    """The time of day in this process, from `install` on."""

    def __init__(self, *, seed: int, at_jump: Callable[[int], None]) -> None:
        """`at_jump` is told how many jumps there were, after each."""
        self._draw, self._at_jump = Random(seed), at_jump  # noqa: S311
        self._ahead_s, self._jumps = 0, 0

    def jump(self, *_: object) -> None:
        """Set it some hours ahead of the true time, or behind it."""
        self._ahead_s = 3600 * self._draw.choice([-1, 1]) * self._draw.randint(1, HOURS)
        self._jumps += 1
        print(f"the clock is set by {self._ahead_s / 3600:+.0f} h", flush=True)  # noqa: T201
        self._at_jump(self._jumps)

    def install(self) -> None:
        """Let our own modules ask this clock, and let it jump at each fsync, within each append."""
        true_time, true_ns, sync = time.time, time.time_ns, os.fsync
        time.time = lambda: true_time() + self._ahead_s
        time.time_ns = lambda: true_ns() + self._ahead_s * 10**9
        clock = _datetime_of(time.time)
        for name, module in list(sys.modules.items()):
            if name.startswith("civicbus_") and getattr(module, "datetime", None) is datetime:
                vars(module)["datetime"] = clock

        def jump_and_sync(handle: int) -> None:
            self.jump()
            sync(handle)

        os.fsync = jump_and_sync  # type: ignore[assignment]


def _datetime_of(now_s: Callable[[], float]) -> type[datetime]:
    """`datetime` by another clock; whatever is a datetime is one of these."""

    class _Kind(type(datetime)):  # type: ignore[misc]
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, datetime)

    class _Jumping(datetime, metaclass=_Kind):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(now_s(), tz)

    return _Jumping
