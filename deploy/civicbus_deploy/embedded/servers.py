"""The servers of one state folder, started side by side as far as their needs allow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from civicbus_deploy.embedded.failures import ServerFailed, ServerNotReady
from civicbus_deploy.embedded.kafka import Kafka
from civicbus_deploy.embedded.ports import check_free
from civicbus_deploy.embedded.postgres import Postgres
from civicbus_deploy.embedded.processes import RunningProcess
from civicbus_deploy.embedded.registry import Registry
from civicbus_deploy.embedded.roll import Roll
from civicbus_deploy.embedded.server import Ground, Server
from civicbus_deploy.embedded.zipkin import OtlpBridge, Zipkin

PORTS = {
    "kafka": ("kafka", "kafka_controller"),
    "postgres": ("postgres",),
    "registry": ("registry", "registry_management"),
    "zipkin": ("zipkin",),
    "otlp": ("otlp",),
}
CORE = ("kafka", "postgres", "registry")
TRACES = ("zipkin", "otlp")
ALL = (*CORE, *TRACES)
_KINDS: dict[str, Callable[[Ground], Server]] = {
    "kafka": Kafka,
    "postgres": Postgres,
    "registry": Registry,
    "zipkin": Zipkin,
    "otlp": OtlpBridge,
}
_POLL_S = 0.1


class Servers:
    """Starts, stops and kills servers of one state folder. One instance per folder at a time."""

    def __init__(self, ground: Ground, names: Sequence[str] = ALL) -> None:
        self.servers: dict[str, Server] = {name: _KINDS[name](ground) for name in names}
        self.running: dict[str, RunningProcess] = {}
        self._ports = ground.ports
        self._roll = Roll(ground.folder)
        self._stopping = threading.Event()

    def start(self, names: Iterable[str] | None = None) -> None:
        """Start the named servers (all by default) and return when each of them is ready.

        If one fails, those that were started are stopped and its error is raised.
        """
        wanted = tuple(names or self.servers)
        self._stopping.clear()
        done = {name: threading.Event() for name in wanted}
        with ThreadPoolExecutor(len(wanted)) as pool:
            tasks = [pool.submit(self._bring_up, name, done) for name in wanted]
            finished, _ = wait(tasks, return_when=FIRST_EXCEPTION)
            failed = next((error for task in finished if (error := task.exception())), None)
            if failed:
                self._stopping.set()
        if failed:
            self.stop()
            raise failed

    def _bring_up(self, name: str, done: dict[str, threading.Event]) -> None:
        for need in self.servers[name].needs:
            if need in done and not self._wait_for(done[need]):
                return
        self.launch(name)
        if self._await_ready(name):
            self.servers[name].settle()
            done[name].set()

    def _wait_for(self, event: threading.Event) -> bool:
        while not event.wait(_POLL_S):
            if self._stopping.is_set():
                return False
        return True

    def launch(self, name: str) -> RunningProcess:
        """Start one server without waiting; its ports must be free."""
        for port_name in PORTS[name]:
            check_free(port_name, self._ports[port_name])
        process = RunningProcess(self.servers[name].prepare())
        self.running[name] = process
        self._roll.enter(process)
        return process

    def _await_ready(self, name: str) -> bool:
        server, process = self.servers[name], self.running[name]
        deadline = time.monotonic() + server.start_timeout_s
        while not server.is_ready():
            code = process.exit_code()
            if code is not None:
                raise ServerFailed(
                    f"{name} ended while it was starting",
                    got=f"exit code {code}",
                    expected="a server that answers",
                    next_step=f"read {process.spec.log}, then civicbus doctor",
                )
            if self._stopping.is_set():
                return False
            if time.monotonic() > deadline:
                raise ServerNotReady(
                    f"{name} does not answer",
                    got=f"nothing within {server.start_timeout_s:.0f} s",
                    expected="an answer on its port",
                    next_step=f"read {process.spec.log}; on a slow machine call it again",
                )
            time.sleep(_POLL_S)
        return True

    def abandon(self) -> None:
        """Give up a start that is under way in another thread; `stop` does the rest."""
        self._stopping.set()

    def stop(self, names: Iterable[str] | None = None) -> None:
        """Stop the named servers (all by default), dependants first."""
        wanted = set(names or self.running)
        leaving = [name for name in self.running if name in wanted]
        dependants = [name for name in leaving if self.servers[name].needs]
        rest = [name for name in leaving if name not in dependants]
        for group in (dependants, rest):
            if group:
                with ThreadPoolExecutor(len(group)) as pool:
                    list(pool.map(self._stop_one, group))

    def _stop_one(self, name: str) -> None:
        self.running.pop(name).stop()
        self._roll.strike(name)

    def kill(self, name: str) -> None:
        """End one server as a crash would (SIGKILL); `start([name])` brings it back."""
        self.running.pop(name).kill()
        self._roll.strike(name)
