"""`civicbus up` and `down` on the real servers: twice, after kills, after a crash."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from civicbus_deploy import cli
from civicbus_deploy.embedded import ground, kafka, lag, lifecycle, postgres, secrets
from civicbus_deploy.embedded.own import plan_of
from civicbus_deploy.embedded.ports import HOST
from civicbus_deploy.embedded.processes import ProcessIdentity, ProcessSpec
from civicbus_deploy.embedded.roll import Roll
from civicbus_deploy.embedded.state import StateFolder, write_json
from civicbus_deploy.embedded.status import Status, status
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import NewTopic
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.stack import DEADLINE_S, wait_until

pytestmark = [pytest.mark.broker, pytest.mark.crash]


class Bench:
    """One state folder and the command itself, as a user calls it."""

    def __init__(self, home: Path) -> None:
        self.folder = StateFolder(home)

    def civicbus(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = "from civicbus_deploy.cli import main; main()"
        command = [sys.executable, "-c", program, *arguments, "--home", str(self.folder.home)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    def up(self) -> None:
        done = self.civicbus("up", "--servers-only")
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""

    def pids(self) -> dict[str, int]:
        return {name: who.pid for name, who in Roll(self.folder).living().items()}

    @property
    def supervisor(self) -> ProcessIdentity:
        now = lifecycle.supervision(self.folder)
        assert now is not None
        return now.identity

    def await_status(self, wanted: Callable[[Status], bool]) -> Status:
        wait_until(lambda: wanted(status(self.folder)), what="the status")
        return status(self.folder)

    @property
    def ports(self) -> dict[str, int]:
        return ground.known_ports(self.folder)

    def kafka_config(self) -> dict[str, str | int | float]:
        password = secrets.read(self.folder.home, "kafka-admin")
        return kafka.client_config(self.ports["kafka"], username="admin", password=password)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A stack that is up. As root its folder cannot be entered by PostgreSQL's user."""
    made = Bench(tmp_path_factory.mktemp("lifecycle") / "home")
    try:
        made.up()
        yield made
    finally:
        lifecycle.down(made.folder, say=str)
        if os.geteuid() == 0:
            shutil.rmtree(postgres.place(made.folder))


def test_nothing_changes_when_up_is_called_twice(bench: Bench) -> None:
    before = bench.pids()
    assert set(before) == {"kafka", "postgres", "registry", "zipkin", "otlp"}
    bench.up()
    assert bench.pids() == before
    assert bench.civicbus("status").returncode == 0
    assert bench.civicbus("doctor").returncode == 0


def test_no_secret_is_logged_or_on_a_command_line_when_the_stack_runs(bench: Bench) -> None:
    values = [path.read_text().strip() for path in bench.folder.secrets.iterdir()]
    shown = [log.read_text(errors="replace") for log in bench.folder.logs.iterdir()]
    shown += [Path(f"/proc/{pid}/cmdline").read_text() for pid in bench.pids().values()]
    assert len(values) >= 6
    for value in values:
        assert not [text for text in shown if value in text]


def test_only_loopback_is_listened_on_when_the_stack_runs(bench: Bench) -> None:
    for name in ("kafka", "postgres", "registry", "registry_management", "zipkin", "otlp"):
        for host, port in _listeners():
            if port == bench.ports[name]:
                assert host in {"0100007F", "0000000000000000FFFF00000100007F"}, name


def _listeners() -> Iterator[tuple[str, int]]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == "0A":
                host, port = local.split(":")
                yield host, int(port, 16)


def test_span_is_shown_by_zipkin_when_it_is_exported_as_otlp(bench: Bench) -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = os.urandom(16), os.urandom(8), "publish"
    span.start_time_unix_nano = time.time_ns()
    span.end_time_unix_nano = span.start_time_unix_nano + 5000
    otlp = f"http://{HOST}:{bench.ports['otlp']}/v1/traces"
    assert httpx.post(otlp, content=request.SerializeToString(), timeout=DEADLINE_S).is_success
    trace = f"http://{HOST}:{bench.ports['zipkin']}/api/v2/trace/{span.trace_id.hex()}"
    wait_until(lambda: httpx.get(trace, timeout=DEADLINE_S).is_success, what="the span")
    assert httpx.get(trace, timeout=DEADLINE_S).json()[0]["id"] == span.span_id.hex()


def test_lag_is_the_age_of_the_oldest_uncommitted_message(bench: Bench) -> None:
    topic = "dlv.vss.lag-test.v1"

    def measure() -> lag.Lag:
        (row,) = lag.measure(bench.folder.home, bench.ports["kafka"])
        return row

    admin = kafka.admin_client(bench.folder.home, bench.ports["kafka"])
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(DEADLINE_S)
    producer = Producer(bench.kafka_config())
    for _ in range(3):
        producer.produce(topic, b"value")
    assert producer.flush(DEADLINE_S) == 0
    consumer = Consumer(
        {**bench.kafka_config(), "group.id": "vss.lag", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    message = consumer.poll(DEADLINE_S)
    assert message is not None
    consumer.commit(message, asynchronous=False)
    wait_until(lambda: measure().seconds >= 1, what="a lag of a second")
    row = measure()
    assert (row.topic, row.group, row.recipient, row.messages) == (topic, "vss.lag", "vss", 2)
    assert consumer.poll(DEADLINE_S) is not None
    last = consumer.poll(DEADLINE_S)
    assert last is not None
    consumer.commit(last, asynchronous=False)
    consumer.close()
    assert (measure().messages, measure().seconds) == (0, 0.0)


@pytest.mark.parametrize("name", ["kafka", "postgres", "otlp"])
def test_server_is_started_again_and_its_death_reported_when_it_is_killed(
    bench: Bench, name: str
) -> None:
    os.kill(bench.pids()[name], signal.SIGKILL)
    found = bench.await_status(
        lambda now: now.healthy and any(p.name == name and p.deaths for p in now.processes)
    )
    (process,) = (process for process in found.processes if process.name == name)
    assert process.last_exit == "exit code -9"
    report = json.loads(bench.civicbus("doctor", "--json").stdout)
    assert report[name]["colour"] == "yellow"


def test_process_follows_the_plan_when_the_plan_changes(bench: Bench) -> None:
    sleeper = (sys.executable, "-c", "import signal; signal.pause()")

    def plan(fingerprint: str) -> None:
        spec = ProcessSpec(
            name="sleeper",
            command=sleeper,
            log=bench.folder.log("sleeper"),
            cwd=bench.folder.home,
            fingerprint=fingerprint,
        )
        write_json(bench.folder.plan_file, plan_of((spec,)))

    def pid_after(former: int | None) -> int:
        wait_until(lambda: bench.pids().get("sleeper") not in {None, former}, what="a new life")
        return bench.pids()["sleeper"]

    plan("one")
    first = pid_after(None)
    os.kill(first, signal.SIGKILL)
    second = pid_after(first)
    plan("two")
    pid_after(second)
    write_json(bench.folder.plan_file, plan_of(()))
    wait_until(lambda: "sleeper" not in bench.pids(), what="its end")


def test_up_takes_over_when_the_supervisor_was_killed(bench: Bench) -> None:
    former = bench.supervisor
    os.kill(former.pid, signal.SIGKILL)
    assert bench.await_status(lambda now: now.phase == "unsupervised").healthy is False
    bench.up()
    assert bench.supervisor != former
    assert status(bench.folder).healthy


def test_up_recovers_and_the_data_are_there_when_the_machine_crashed(bench: Bench) -> None:
    topic = "survives"
    admin = kafka.admin_client(bench.folder.home, bench.ports["kafka"])
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(DEADLINE_S)
    producer = Producer({**bench.kafka_config(), "acks": "all"})
    producer.produce(topic, b"value")
    assert producer.flush(DEADLINE_S) == 0
    before = bench.ports
    identities = [bench.supervisor, *Roll(bench.folder).living().values()]
    for identity in identities:
        os.kill(identity.pid, signal.SIGKILL)
    _forge_what_a_crash_leaves(bench.folder)
    bench.up()
    assert bench.ports == before
    consumer = Consumer({**bench.kafka_config(), "group.id": "x"})
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=DEADLINE_S) == (0, 1)
    consumer.close()


def _forge_what_a_crash_leaves(folder: StateFolder) -> None:
    """After a reboot the pids in old files belong to strangers: here, to this test."""
    (folder.run / "lock").write_text("1\n")
    postmaster = postgres.place(folder) / "data" / "postmaster.pid"
    wait_until(lambda: not _postgres_lives(postmaster.parent), what="the end of PostgreSQL")
    lines = postmaster.read_text().splitlines()
    postmaster.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")


def _postgres_lives(data: Path) -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == data:
                return True
        except OSError:
            continue
    return False


def test_state_stays_and_a_taken_port_is_named_when_the_stack_is_down(bench: Bench) -> None:
    done = bench.civicbus("down")
    assert (done.returncode, done.stdout) == (0, "")
    assert bench.pids() == {}
    assert bench.civicbus("down").returncode == 0
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind((HOST, bench.ports["zipkin"]))
        stranger.listen()
        refused = bench.civicbus("up", "--servers-only")
    assert refused.returncode == cli.REFUSED
    assert f"port {bench.ports['zipkin']}" in refused.stderr
    assert bench.pids() == {}
    found = json.loads(bench.civicbus("env", "--json").stdout)
    assert found["bootstrap"] == f"{HOST}:{bench.ports['kafka']}"
