"""Own processes as forks of one that has imported all of them: a start costs no imports.

A process of ours spends about two seconds of CPU on imports, which in most tests is most of its
life. What a fork runs is what `python -m MODULE` would; the commands themselves are started by
`civicbus up` and the demo, whose tests do so.
"""

from __future__ import annotations

import atexit
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

_FORKS = get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        *("civicbus_consumers.enforcement.app", "civicbus_consumers.consent.app"),
        *("civicbus_consumers.sealing.app", "civicbus_consumers.lookup.app"),
        *("civicbus_consumers.officers.app", "civicbus_consumers.flags.app"),
        *("civicbus_consumers.population.app", "civicbus_consumers.unread.app"),
        *("civicbus_consumers.indexing.app", "civicbus_audit.cli"),
    ]
)


class Child(Protocol):
    """A process as `subprocess.Popen` shows it."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


class Start(Protocol):
    """How a command becomes a process: `fork`, or `launch` where its imports are to count."""

    def __call__(
        self, command: Sequence[str], *, log: Path, cwd: Path, environment: Mapping[str, str]
    ) -> Child: ...


def launch(
    command: Sequence[str], *, log: Path, cwd: Path, environment: Mapping[str, str]
) -> Child:
    """A process of its own from the beginning, as users start it."""
    with log.open("ab") as out:
        return subprocess.Popen(
            command, cwd=cwd, stdout=out, stderr=out, env={**os.environ, **environment}
        )


def fork(command: Sequence[str], *, log: Path, cwd: Path, environment: Mapping[str, str]) -> Child:
    """The same from a fork; the command must be `PYTHON … -m MODULE ARGUMENTS`."""
    place = command.index("-m")
    assert command[0] == sys.executable
    return _Fork(command[place + 1 :], log, cwd, {**os.environ, **environment})


class _Fork:
    def __init__(
        self, arguments: Sequence[str], log: Path, cwd: Path, environment: dict[str, str]
    ) -> None:
        given = ([*arguments], str(log), str(cwd), environment)
        self._process = _FORKS.Process(target=_live, args=given, daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self._arguments, self.pid = arguments, self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired([*self._arguments], timeout or 0)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _live(arguments: list[str], log: str, cwd: str, environment: dict[str, str]) -> None:
    """Become the process, and end as an interpreter does: threads, exit functions, its code."""
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    module, sys.argv[1:] = arguments[0], arguments[1:]
    code = 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001
        sys.excepthook(*sys.exc_info())
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
