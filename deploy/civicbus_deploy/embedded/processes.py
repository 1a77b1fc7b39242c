"""One operating-system process: how it is started, recognised and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import structlog

_ROTATE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """What is to run. `uid`/`gid` are set only where root starts it as somebody else."""

    name: str
    command: tuple[str, ...]
    log: Path
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    uid: int | None = None
    gid: int | None = None
    stop_signal: int = signal.SIGTERM
    stop_timeout_s: float = 20.0
    ready_url: str | None = None
    fingerprint: str = ""  # of its settings: another one means that it must start anew

    def to_json(self) -> dict[str, Any]:
        """For the supervisor's plan; holds paths, never a secret."""
        return {
            "name": self.name,
            "command": list(self.command),
            "log": str(self.log),
            "cwd": str(self.cwd),
            "ready_url": self.ready_url,
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ProcessSpec:
        """The inverse of `to_json`."""
        return cls(
            name=document["name"],
            command=tuple(document["command"]),
            log=Path(document["log"]),
            cwd=Path(document["cwd"]),
            ready_url=document["ready_url"],
            fingerprint=document["fingerprint"],
        )


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A pid and when it started: together they survive the reuse of pids."""

    pid: int
    started_at: float

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The identity of a living process, or None."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    @property
    def process(self) -> psutil.Process | None:
        """The very process, if it still lives (a zombie does not)."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_at) < 1
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def end(self, *, timeout_s: float, stop_signal: int = signal.SIGTERM) -> None:
        """Ask the process to end, then make it end; nothing happens when it is gone."""
        process = self.process
        if process is None:
            return
        try:
            process.send_signal(signal.SIGCONT)  # a paused process hears nothing
            process.send_signal(stop_signal)
            process.wait(timeout_s)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(10)
        except psutil.NoSuchProcess:
            pass


class RunningProcess:
    """A child of ours."""

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        self.started_at = time.time()
        _rotate(spec.log)
        with spec.log.open("ab") as log:
            self._popen = subprocess.Popen(  # noqa: S603
                spec.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=spec.cwd,
                env={**os.environ, **spec.env},
                start_new_session=True,  # Ctrl-C on the terminal is for the CLI alone
                user=spec.uid,
                group=spec.gid,
                extra_groups=None if spec.uid is None else [],
            )
        self.identity = ProcessIdentity.of(self._popen.pid) or ProcessIdentity(self._popen.pid, 0)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative is a signal."""
        return self._popen.poll()

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        self._popen.send_signal(number)

    def stop(self) -> None:
        """Ask it to end, make it end after its time, which is logged, and wait for the end."""
        self._popen.send_signal(signal.SIGCONT)  # a paused process hears nothing
        self._popen.send_signal(self.spec.stop_signal)
        try:
            self._popen.wait(self.spec.stop_timeout_s)
        except subprocess.TimeoutExpired:
            log, waited_s = structlog.get_logger(), self.spec.stop_timeout_s
            log.warning("killed: it did not end", process=self.spec.name, waited_s=waited_s)
            self.kill()

    def kill(self) -> None:
        """End it without warning, as a crash would."""
        self._popen.kill()
        self._popen.wait(10)


def _rotate(log: Path) -> None:
    """Keep one older log when the present one has grown."""
    if log.exists() and log.stat().st_size > _ROTATE_BYTES:
        log.replace(log.with_suffix(".old.log"))
