"""One watched process: alive, or waiting to be started again. Knows no signal or file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from civicbus_schemas.errors import BusError

from civicbus_deploy.embedded.backoff import Backoff


class Watchable(Protocol):
    """What a watch needs of a process (a `RunningProcess`, or a fake)."""

    @property
    def pid(self) -> int:
        """The process id."""

    def exit_code(self) -> int | None:
        """None while it runs."""


@dataclass(slots=True, kw_only=True)
class Watch:
    """The life of one process under supervision; times are seconds of one clock."""

    name: str
    start: Callable[[], Watchable]
    process: Watchable | None = None
    started_at: float = 0.0
    retry_at: float = 0.0
    deaths: int = 0
    last_exit: str | None = None
    backoff: Backoff = field(default_factory=Backoff)

    def tick(self, now: float) -> str | None:
        """Notice a death, or start what is due; returns what happened, if anything did."""
        if self.process is not None:
            code = self.process.exit_code()
            return None if code is None else self._died(now, f"exit code {code}")
        if now < self.retry_at:
            return None
        try:
            self.process = self.start()
        except (BusError, OSError) as error:
            self.started_at = now
            return self._died(now, f"not started: {type(error).__name__}")
        self.started_at = now
        return "started again" if self.deaths else "started"

    def _died(self, now: float, how: str) -> str:
        self.backoff = self.backoff.after_death(lived_s=now - self.started_at)
        self.process, self.last_exit = None, how
        self.deaths += 1
        self.retry_at = now + self.backoff.delay_s
        return f"died ({how}); next start in {self.backoff.delay_s:.2f} s"

    def report(self) -> dict[str, Any]:
        """For H/run/status.json."""
        return {
            "state": "up" if self.process else "waiting",
            "pid": self.process.pid if self.process else None,
            "deaths": self.deaths,
            "last_exit": self.last_exit,
            "troubled": self.backoff.troubled,
        }
