"""A provisioned bus for tests of own processes: servers, the nation, and workers to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from civicbus_deploy.embedded import own
from civicbus_deploy.provisioning import provision
from civicbus_producers.publisher import Publisher
from civicbus_producers.settings import Connection
from confluent_kafka import Consumer, Message, TopicPartition

from tests.stack import Stack

ROOT = Path(__file__).parent.parent
DEADLINE_S = 60.0


class Bus:
    """A stack with the nation provisioned on it, and its own processes by name."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        own.make_keys(stack.folder)
        provision(stack.home)
        own.publish_agency_keys(stack.folder)
        self.specs = {spec.name: spec for spec in own.write_settings(stack.folder, stack.ports)}

    def connection(self, agency: str) -> Connection:
        """The connection of an agency."""
        return Connection.read(self.stack.folder.agencies / f"{agency}.json")

    def publisher(self, agency: str) -> Publisher:
        """A publisher of an agency."""
        return Publisher.connect(agency, settings=self.connection(agency))

    @contextmanager
    def running(self, name: str, *options: str) -> Iterator[Worker]:
        """An own process, ended at the exit of the context if it still lives."""
        worker = Worker.start(self, name, options)
        try:
            yield worker
        finally:
            worker.kill()

    def read(
        self, *topics: str, until: Callable[[list[Message]], bool], committed: bool = True
    ) -> list[Message]:
        """All messages of topics from their beginnings, as the admin, until a condition holds."""
        level = "read_committed" if committed else "read_uncommitted"
        consumer = Consumer(
            self.stack.client_config(
                group_id="test-reader", isolation_level=level, auto_offset_reset="earliest"
            )
        )
        messages: list[Message] = []
        try:
            consumer.assign(
                [
                    TopicPartition(topic, p, 0)
                    for topic in topics
                    for p in consumer.list_topics(topic).topics[topic].partitions
                ]
            )
            deadline = time.monotonic() + DEADLINE_S
            while not until(messages):
                assert time.monotonic() < deadline, f"only {len(messages)} messages came"
                messages += [m for m in consumer.consume(500, timeout=0.1) if m.error() is None]
        finally:
            consumer.close()
        return messages


@dataclass(frozen=True, slots=True)
class Worker:
    """One own process as a child of the test; its log is a file in the state folder."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, bus: Bus, name: str, options: Sequence[str]) -> Worker:
        """Start it, with options for `tests.workers` where it is to be killed at a step."""
        spec = bus.specs[name]
        room, settings = own.ROOMS[name], spec.command[-1]
        module = ["tests.workers", room] if options else [f"civicbus_consumers.{room}"]
        command = [sys.executable, "-m", *module, "--settings", settings, *options]
        with spec.log.open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        return cls(name, process, spec.log)

    def wait(self, timeout_s: float = DEADLINE_S) -> int:
        """Its exit code; negative where a signal ended it."""
        return self.process.wait(timeout_s)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to stop and wait."""
        self.send(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it at once, if it still lives."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.kill()
            self.process.wait()
