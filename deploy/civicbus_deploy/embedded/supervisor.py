"""The supervisor: starts the servers, keeps them and the own processes of the plan alive.

It outlives the command that started it, says what it sees in H/run/status.json and its log, and
ends everything, own processes first, when it is told to end. If it is killed, what it started
goes on; the next `up` or `down` finds it on the roll.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from civicbus_consumers.runtime.process import when_signalled
from civicbus_consumers.runtime.settings import configure_logs
from civicbus_schemas.errors import BusError
from rich.console import Console

from civicbus_deploy.embedded import ground, locks
from civicbus_deploy.embedded.own import specs_of
from civicbus_deploy.embedded.processes import ProcessIdentity, ProcessSpec, RunningProcess
from civicbus_deploy.embedded.roll import Roll
from civicbus_deploy.embedded.servers import ALL, CORE, TRACES, Servers
from civicbus_deploy.embedded.state import StateFolder, read_json, write_json
from civicbus_deploy.embedded.watch import Watch

TICK_S = 0.25


class Supervisor:
    """Watches the processes of one state folder from one thread."""

    def __init__(self, folder: StateFolder, servers: Servers) -> None:
        self._folder, self._servers = folder, servers
        self._roll = Roll(folder)
        self._log = structlog.get_logger()
        self._stop = threading.Event()
        self._watches: dict[str, Watch] = {}
        self._own: dict[str, ProcessSpec] = {}
        self._written: dict[str, Any] = {}
        self._plan_version = -1

    def stop(self) -> None:
        """End at the next opportunity; from any thread."""
        self._stop.set()
        self._servers.abandon()

    def run(self) -> int:
        """Start the servers, watch until told to end, and end everything in order."""
        self._report("starting")
        try:
            self._servers.start(CORE)
            for name in TRACES:  # nobody waits for them before the whole stack is up
                self._servers.launch(name)
        except BusError as error:
            self._log.error("the servers could not be started", error=str(error))
            self._report("failed", error=error)
            return 1
        for name, process in self._servers.running.items():
            self._watches[name] = self._watch_server(name, process)
        while not self._stop.is_set():
            self._follow_plan()
            for watch in self._watches.values():
                self._say(watch.tick(time.monotonic()), process=watch.name)
            self._report("serving")
            self._stop.wait(TICK_S)
        self._report("stopping")
        self._end(list(self._own))
        self._servers.stop()
        return 0

    def _say(self, happened: str | None, *, process: str) -> None:
        if happened:
            with suppress(OSError):
                self._log.info(happened, process=process)

    def _watch_server(self, name: str, process: RunningProcess) -> Watch:
        return Watch(
            name=name,
            start=partial(self._servers.launch, name),
            process=process,
            started_at=time.monotonic(),
        )

    def _follow_plan(self) -> None:
        """Take over a changed plan: end what is gone or has new settings, add what is new."""
        path = self._folder.plan_file
        version = path.stat().st_mtime_ns if path.exists() else 0
        if version == self._plan_version:
            return
        self._plan_version = version
        planned = {spec.name: spec for spec in specs_of(read_json(path))}
        self._end([name for name, spec in self._own.items() if planned.get(name) != spec])
        for name, spec in planned.items():
            if name not in self._own:
                self._own[name] = spec
                self._watches[name] = Watch(name=name, start=partial(self._launch, spec))

    def _launch(self, spec: ProcessSpec) -> RunningProcess:
        process = RunningProcess(spec)
        self._roll.enter(process)
        return process

    def _end(self, names: Sequence[str]) -> None:
        """End own processes side by side and forget them."""
        watches = [self._watches.pop(name) for name in names]
        running = [w for w in watches if isinstance(w.process, RunningProcess)]
        if running:
            with ThreadPoolExecutor(len(running)) as pool:
                list(pool.map(lambda watch: watch.process.stop(), running))
        for name in names:
            self._roll.strike(name)
            del self._own[name]

    def _report(self, phase: str, *, error: BusError | None = None) -> None:
        """Write the status when it has changed."""
        status = {
            "phase": phase,
            "error": None if error is None else {"kind": type(error).__name__, "text": str(error)},
            "processes": {name: watch.report() for name, watch in self._watches.items()},
        }
        if status != self._written:
            with suppress(OSError):  # a full disk must not end the supervisor; it tries again
                write_json(self._folder.status_file, {**status, **_me()})
                self._written = status


def _me() -> dict[str, Any]:
    identity = ProcessIdentity.of(os.getpid())
    return {"pid": os.getpid(), "started_at": identity.started_at if identity else 0.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """The process that `civicbus up` starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    folder = StateFolder.at(parser.parse_args(arguments).home)
    configure_logs()
    log = structlog.get_logger()
    with locks.held(folder.run / "supervisor.lock", what="a supervisor runs", say=log.info):
        console = Console(stderr=True, quiet=True)
        stack_ground = ground.prepare(folder, names=ALL, console=console, say=log.info)
        supervisor = Supervisor(folder, Servers(stack_ground, ALL))
        when_signalled(supervisor.stop)
        return supervisor.run()


if __name__ == "__main__":
    raise SystemExit(main())
