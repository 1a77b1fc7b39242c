"""A provisioned bus for tests of own processes: servers, the nation, and workers to be killed."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from civicbus_consumers.runtime.process import EXIT_UNAVAILABLE
from civicbus_deploy.embedded import keys, own
from civicbus_deploy.embedded.asking import succeeds
from civicbus_deploy.embedded.own import ENFORCEMENT
from civicbus_deploy.embedded.state import StateFolder, read_json, write_json
from civicbus_deploy.embedded.witnesses import QUORUM, WITNESSES
from civicbus_deploy.provisioning import provision
from civicbus_deploy.provisioning.binding import missing
from civicbus_deploy.provisioning.nation import load_nation
from civicbus_deploy.provisioning.officers import (
    appoint,
    approve_all,
    keep_statements,
    read_statements,
)
from civicbus_producers.publisher import Publisher
from civicbus_producers.settings import Connection
from civicbus_schemas.topics import GROUPS, enforcement_group, partitions_of
from confluent_kafka import Consumer, Message, TopicPartition

from tests.nursery import Child, Start, fork
from tests.stack import DEADLINE_S, Stack, wait_until

ROOT = Path(__file__).parent.parent


class Bus:
    """A stack with the nation provisioned on it, and its own processes by name."""

    def __init__(self, stack: Stack, *, start: Start = fork) -> None:
        self.stack, self.start = stack, start
        self._workers: list[Worker] = []
        self.write_settings()

    @classmethod
    def found(cls, stack: Stack, *, start: Start = fork) -> Bus:
        """Provision a new stack."""
        keys.make_keys(stack.folder)
        provision(stack.home)
        keys.publish_agency_keys(stack.folder)
        return cls(stack, start=start)

    def write_settings(self, *, sealing_limit_s: float | None = None) -> None:
        """The settings of all own processes; recorders mostly run without sealing here."""
        specs = own.write_settings(self.stack.folder, self.stack.ports)
        self.specs = {spec.name: spec for spec in specs}
        for name in (*ENFORCEMENT, "lookup", "officers", "flags"):
            path = self.stack.folder.processes / f"{name}.json"
            write_json(path, {**read_json(path), "sealing_limit_s": sealing_limit_s})

    def connection(self, agency: str) -> Connection:
        """The connection of an agency."""
        return Connection.read(self.stack.folder.agencies / f"{agency}.json")

    @contextmanager
    def publisher(self, agency: str) -> Iterator[Publisher]:
        """A publisher of an agency; behind the context all that it published is durable."""
        with Publisher.connect(
            agency,
            settings=self.connection(agency),
            connect_timeout_s=DEADLINE_S,
            delivery_timeout_s=DEADLINE_S,
        ) as publisher:
            yield publisher
            publisher.flush(DEADLINE_S)

    @contextmanager
    def running(
        self, name: str, *options: str, supervised: bool = True, **environment: str
    ) -> Iterator[Worker]:
        """An own process, ended at the exit of the context if it still lives.

        Who waits, for it or for what it does, is its supervisor (`Worker.tend`), but where it is
        not to be `supervised`. With sealing come as many witnesses as are a quorum.
        """
        companions = WITNESSES[:QUORUM] if name == "sealing" else ()
        with ExitStack() as living:
            for companion in companions:
                living.enter_context(self.running(companion))
            worker = Worker.start(self, name, options, environment, supervised=supervised)
            living.callback(worker.kill)
            self._workers.append(worker)
            living.callback(self._workers.remove, worker)
            yield worker

    def read_all(self, *topics: str, committed: bool = True) -> list[Message]:
        """All messages of topics up to their present ends, as the admin.

        With `committed` false also what was produced in transactions that were aborted.
        """
        level = "read_committed" if committed else "read_uncommitted"
        consumer = Consumer(
            self.stack.client_config(
                group_id="test-reader", isolation_level=level, auto_offset_reset="error"
            )
        )
        try:
            places = [
                TopicPartition(topic, p, 0)
                for topic in topics
                for p in consumer.list_topics(topic).topics[topic].partitions
            ]
            ends = {
                (tp.topic, tp.partition): consumer.get_watermark_offsets(tp, DEADLINE_S)[1]
                for tp in places
            }
            consumer.assign(places)
            return list(_until(consumer, places, ends))
        finally:
            consumer.close()

    def wait(
        self,
        holds: Callable[[], bool],
        what: str,
        *,
        timeout_s: float = DEADLINE_S,
        by: Worker | None = None,
    ) -> None:
        """Wait until a condition holds, and be the supervisor of all processes meanwhile.

        When that lasts too long the test fails, with all last words; and at once where the worker
        by which it is to come true has ended for good.
        """

        def over() -> bool:
            for worker in self._workers:
                worker.tend()
            return holds() or (by is not None and by.process.poll() is not None)

        try:
            wait_until(over, timeout_s=timeout_s, what=what)
            assert by is None or holds(), f"{by.name} ended before {what}"
        except AssertionError as error:
            words = (worker.last_words() for worker in self._workers)
            raise AssertionError("\n".join([str(error), *words])) from None

    def is_ready(self, name: str) -> bool:
        """Whether an own process says that it does its work."""
        return succeeds(self.specs[name].ready_url)

    def settle(self, *topics: str) -> None:
        """Let enforcement work on all of these source topics, and end in order."""
        with ExitStack() as living:
            workers = [living.enter_context(self.running(name)) for name in ENFORCEMENT]
            # One that is asked to stop before it is ready dies of the signal, which is no order.
            self.wait(lambda: all(map(self.is_ready, ENFORCEMENT)), "enforcement to be ready")
            self.wait(lambda: self.is_drained(*topics), "enforcement")
            assert [worker.stop() for worker in workers] == [0] * GROUPS

    def is_drained(self, *topics: str) -> bool:
        """Whether enforcement has committed these source topics to their ends."""
        return all(self._is_drained(topic, group) for topic in topics for group in range(GROUPS))

    def _is_drained(self, topic: str, group: int) -> bool:
        consumer = self._watchers[group]
        places = [TopicPartition(topic, p) for p in partitions_of(group)]
        committed = consumer.committed(places, timeout=DEADLINE_S)
        return all(
            tp.error is None and tp.offset >= consumer.get_watermark_offsets(tp, DEADLINE_S)[1]
            for tp in committed
        )

    @cached_property
    def _watchers(self) -> list[Consumer]:
        """A consumer per group that only asks where the group is."""
        return [
            Consumer(
                self.stack.client_config(
                    # not read_committed, which waits for the transaction of a paused worker
                    group_id=enforcement_group(group),
                    isolation_level="read_uncommitted",
                )
            )
            for group in range(GROUPS)
        ]


def approve_drafts(home: StateFolder, nation: Path) -> None:
    """Let the stack's officers approve what is new in a nation's folder."""
    agreements = load_nation(nation).policy.agreements
    appoint(home, (party for agreement in agreements for party in agreement.approved_by))
    known = read_statements(home)
    keep_statements(home, approve_all(home, (a for a in agreements if missing(a, known))))


def _until(
    consumer: Consumer, places: list[TopicPartition], ends: dict[tuple[str, int], int]
) -> Iterator[Message]:
    deadline = time.monotonic() + DEADLINE_S
    while any(max(tp.offset, 0) < ends[tp.topic, tp.partition] for tp in consumer.position(places)):
        assert time.monotonic() < deadline, "the topics could not be read to their ends"
        for message in consumer.consume(500, timeout=0.05):
            error = message.error()
            assert error is None, error.name()
            yield message


@dataclass(slots=True)
class Worker:
    """One own process as a child of the test; its log is a file in the state folder."""

    name: str
    begin: Callable[[], Child]
    log: Path
    supervised: bool = True
    process: Child = field(init=False)

    def __post_init__(self) -> None:
        self.process = self.begin()

    @classmethod
    def start(
        cls,
        bus: Bus,
        name: str,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        *,
        supervised: bool = True,
    ) -> Worker:
        """Start it, with options for `tests.workers` where it is to be killed at a step."""
        spec = bus.specs[name]
        command = [*spec.command]
        if options:
            room, settings = own.ROOMS[name], spec.command[-1]
            module = ["tests.workers", room]
            command = [sys.executable, "-m", *module, "--settings", settings, *options]
        begin = partial(bus.start, command, log=spec.log, cwd=ROOT, environment=environment or {})
        return cls(name, begin, spec.log, supervised)

    def tend(self) -> None:
        """Start it again where it says so by its exit code: what it needs did not answer.

        A broker may be silent for longer than a process waits for it, on a slow machine above all
        in its first minute; a stack's supervisor then does the same.
        """
        if self.supervised and self.process.poll() == EXIT_UNAVAILABLE:
            self.process = self.begin()

    def wait(self) -> int:
        """Its exit code, once it has ended for good; negative where a signal ended it."""
        deadline = time.monotonic() + DEADLINE_S
        while (code := self.process.wait(deadline - time.monotonic())) == EXIT_UNAVAILABLE:
            if not self.supervised:
                break
            self.tend()
        return code

    def last_words(self, lines: int = 5) -> str:
        """Whether it runs, or its exit code, and the end of its log."""
        code = self.process.poll()
        state = "runs" if code is None else f"ended with {code}"
        log = self.log.read_text(errors="replace") if self.log.exists() else ""
        said = log.splitlines()[-lines:]
        return "\n".join([f"{self.name} {state}", *(f"  {line}" for line in said)])

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to stop and wait; its exit code."""
        self.send(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def kill(self) -> None:
        """End it at once, if it still lives."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.kill()
            self.process.wait()
