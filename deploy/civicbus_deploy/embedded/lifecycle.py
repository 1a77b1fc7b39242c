"""`up` and `down`: from a folder, in whatever state a crash left it, to a running stack and back.

1 take the folder's lock       4 start the supervisor, wait for the servers
2 end what a crash left        5 provision (the hook), write settings and plan
3 ports, parts, room on disk   6 wait until every own process is ready
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from civicbus_schemas.errors import Refused
from rich.console import Console

from civicbus_deploy.embedded import failures, ground, keys, locks, own, pseudonyms, servers
from civicbus_deploy.embedded.artifacts import Say
from civicbus_deploy.embedded.asking import succeeds
from civicbus_deploy.embedded.failures import DiskFull, ServerFailed, ServerNotReady
from civicbus_deploy.embedded.machine import check_platform, free_bytes
from civicbus_deploy.embedded.ports import check_free
from civicbus_deploy.embedded.processes import ProcessIdentity, ProcessSpec
from civicbus_deploy.embedded.roll import Roll
from civicbus_deploy.embedded.server import Ground
from civicbus_deploy.embedded.state import StateFolder, read_json, write_json

STATE_BYTES = 1 << 30  # room that a first demo needs
SERVERS_TIMEOUT_S = 300.0
PROCESSES_TIMEOUT_S = 120.0
DOWN_TIMEOUT_S = 90.0
_POLL_S = 0.2

Provision = Callable[[StateFolder], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """What status.json says, and whether its writer still lives."""

    phase: str
    identity: ProcessIdentity
    processes: Mapping[str, Mapping[str, Any]]
    error: Mapping[str, str] | None

    @property
    def alive(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return self.identity.process is not None


def supervision(folder: StateFolder) -> Supervision | None:
    """What the supervisor of this folder last said; None if there never was one."""
    status = read_json(folder.status_file)
    if not status:
        return None
    return Supervision(
        phase=status["phase"],
        identity=ProcessIdentity(status["pid"], status["started_at"]),
        processes=status["processes"],
        error=status["error"],
    )


def up(
    folder: StateFolder, *, provision: Provision | None, console: Console, say: Say
) -> dict[str, int]:
    """Bring the stack up, or complete it; harmless when it is up. Returns its ports.

    Without `provision` the servers alone are started.
    """
    check_platform()
    folder.make()
    with locks.held(folder.run / "lock", what="up or down", say=say):
        now = supervision(folder)
        if now is None or not now.alive:
            _clear_remains(folder, say)
            if free_bytes(folder.home) < STATE_BYTES:
                raise DiskFull.at(folder.home, needed=STATE_BYTES)
            prepared = ground.prepare(folder, names=servers.ALL, console=console, say=say)
            for name, port in prepared.ports.items():
                check_free(name, port)
            say("starting Kafka, PostgreSQL, schema registry and Zipkin")
            _start_supervisor(folder)
        _await_servers(folder)
        ports = ground.choose_ports(folder)
        if provision is not None:
            say("the servers are ready; provisioning")
            keys.make_keys(folder)
            pseudonyms.retire(folder, at=datetime.now(UTC))
            provision(folder)
            keys.publish_agency_keys(folder)
            specs = own.write_settings(folder, ports)
            _publish_plan(folder, specs)
            say(f"starting {', '.join(spec.name for spec in specs)}")
            _await_processes(folder, specs)
        _await_traces(folder, ports)
    return ports


@contextmanager
def changing(folder: StateFolder, *, say: Say) -> Iterator[None]:
    """Change what own processes read at their start; those whom it concerns then start anew."""
    if not folder.exists:
        raise Refused("there is no stack here", got=folder.home, next_step="civicbus up")
    folder.run.mkdir(mode=0o700, exist_ok=True)
    with locks.held(folder.run / "lock", what="up or down", say=say):
        yield
        now = supervision(folder)
        if now is not None and now.alive and folder.plan_file.exists():
            _publish_plan(folder, own.write_settings(folder, ground.choose_ports(folder)))


def _clear_remains(folder: StateFolder, say: Say) -> None:
    """End processes that outlived a killed supervisor; forget its status."""
    ended = Roll(folder).end_living()
    if ended:
        say(f"ended what a dead supervisor had left running: {', '.join(ended)}")
    folder.status_file.unlink(missing_ok=True)
    folder.plan_file.unlink(missing_ok=True)


def _start_supervisor(folder: StateFolder) -> None:
    """Start it in a session of its own, so that it outlives this command and its terminal."""
    with folder.log("supervisor").open("ab") as log:
        child = subprocess.Popen(  # noqa: S603
            [
                *(sys.executable, "-P", "-m", "civicbus_deploy.embedded.supervisor"),
                *("--home", str(folder.home)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder.home,
            start_new_session=True,
        )
    deadline = time.monotonic() + SERVERS_TIMEOUT_S
    while supervision(folder) is None:
        if child.poll() is not None:
            raise ServerFailed(
                "the supervisor ended at once",
                got=f"exit code {child.returncode}",
                expected="a running supervisor",
                next_step=f"read {folder.log('supervisor')}",
            )
        _sleep_until(deadline, what="the supervisor")


def _await_servers(folder: StateFolder) -> None:
    deadline = time.monotonic() + SERVERS_TIMEOUT_S
    while True:
        now = supervision(folder)
        if now is not None and now.phase == "serving":
            return
        if now is not None and now.phase == "failed" and now.error:
            raise _raised_again(now.error)
        if now is None or not now.alive:
            raise ServerFailed(
                "the supervisor ended while the servers were starting",
                expected="running servers",
                next_step=f"read {folder.log('supervisor')}, then civicbus up",
            )
        _sleep_until(deadline, what="the servers")


def _raised_again(error: Mapping[str, str]) -> Exception:
    """The supervisor's error, in this process, with its own class and so its own exit code."""
    kind = getattr(failures, error["kind"], ServerFailed)
    return kind(error["text"].rstrip("."))


def _publish_plan(folder: StateFolder, specs: tuple[ProcessSpec, ...]) -> None:
    plan = own.plan_of(specs)
    if read_json(folder.plan_file) != plan:
        write_json(folder.plan_file, plan)


def _await_processes(folder: StateFolder, specs: tuple[ProcessSpec, ...]) -> None:
    """Wait until every own process says that it is ready."""
    deadline = time.monotonic() + PROCESSES_TIMEOUT_S
    waiting = list(specs)
    while waiting := [spec for spec in waiting if not succeeds(spec.ready_url)]:
        now = supervision(folder)
        for spec in waiting:
            report = now.processes.get(spec.name, {}) if now else {}
            if report.get("troubled"):
                raise ServerFailed(
                    f"{spec.name} dies again and again",
                    got=f"{report['deaths']} deaths, the last with {report['last_exit']}",
                    expected="a process that becomes ready",
                    next_step=f"read {spec.log}",
                )
        _sleep_until(deadline, what=", ".join(spec.name for spec in waiting))


def _await_traces(folder: StateFolder, ports: Mapping[str, int]) -> None:
    """Wait for the servers that come up while the others are provisioned."""
    stack = Ground(folder=folder, ports=ports, parts={})
    known = servers.Servers(stack, servers.TRACES).servers
    deadline = time.monotonic() + max(server.start_timeout_s for server in known.values())
    for name, server in known.items():
        while not server.is_ready():
            _sleep_until(deadline, what=name)


def _sleep_until(deadline: float, *, what: str) -> None:
    if time.monotonic() > deadline:
        raise ServerNotReady(
            f"not ready in time: {what}",
            expected="an answer",
            next_step="civicbus doctor; on a slow machine civicbus up again",
        )
    time.sleep(_POLL_S)


def down(folder: StateFolder, *, say: Say) -> bool:
    """End everything that runs for this folder and keep its state; False if nothing ran."""
    if not folder.run.exists():
        return False
    with locks.held(folder.run / "lock", what="up or down", say=say):
        now = supervision(folder)
        was_alive = now is not None and now.alive
        if now is not None and was_alive:
            say("ending the processes, then the servers")
            now.identity.end(timeout_s=DOWN_TIMEOUT_S)
        ended = Roll(folder).end_living()
        if ended:
            say(f"ended what had lost its supervisor: {', '.join(ended)}")
        for path in (folder.status_file, folder.plan_file):
            path.unlink(missing_ok=True)
        return was_alive or bool(ended)
