"""How old a decision may be when it is released.

A process can be paused between the two, or its clock set: then a consent may have expired in the
meantime. So a batch is decided at one moment, and is abandoned if its commit comes too late.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from civicbus_schemas.errors import Retryable

DECIDING_S = 1.0
"""For how long a batch is decided; what is left by then is for the next one."""

AT_LEAST_S = 0.1
"""For how long it is decided although a newer state has arrived, whose fence waits for its end."""

PROMPT_S = 2.0
"""How long after its decision a batch may begin to be released, or to be committed."""


class Abandoned(Retryable):
    """The batch grew too old: nothing of it is committed. Its page stays, as one not released."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The time of day, and seconds that nobody can set."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]

    def moment(self) -> Moment:
        """This moment."""
        return Moment(clock=self, at=self.now(), monotonic_s=self.monotonic())


SYSTEM_CLOCK = Clock(now=lambda: datetime.now(UTC), monotonic=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a batch was decided: `at` by the time of day, which its records name."""

    clock: Clock
    at: datetime
    monotonic_s: float

    def elapsed_s(self) -> float:
        """How long ago it was."""
        return self.clock.monotonic() - self.monotonic_s

    def require_prompt(self) -> None:
        """Raises `Abandoned` when it was too long ago by either clock, or the clock was set."""
        by_day_s = abs((self.clock.now() - self.at).total_seconds())
        if (age_s := max(self.elapsed_s(), by_day_s)) > PROMPT_S:
            raise Abandoned(
                "a batch grew too old before its commit",
                got=f"{age_s:.1f} s",
                expected=f"at most {PROMPT_S:.0f} s",
                next_step="it is taken again, in smaller parts",
            )
