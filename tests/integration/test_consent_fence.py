"""The fence with the real processes: consents, enforcement and sealing as they are provisioned."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.note import Verifier
from civicbus_audit.verify import verify_ledger
from civicbus_consumers.consent.fence import Fence
from civicbus_deploy.embedded import own
from civicbus_producers.receipt import Published
from civicbus_schemas.errors import Overdue
from civicbus_schemas.ids import Pin
from confluent_kafka import Producer

from tests.bus import Bus, Worker
from tests.integration.consent_place import given, pins, withdrawn
from tests.stack import Stack

pytestmark = [pytest.mark.broker, pytest.mark.crash]

PROCESSES = ("consent-0", "consent-1", "enforce-0", "enforce-1", "sealing")


@dataclass(frozen=True)
class Admin:
    """The admin's way to the broker."""

    bootstrap: str
    password_file: Path
    username: str = "admin"
    security_protocol: str = "SASL_PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"


@pytest.fixture(scope="module")
def bus() -> Iterator[Bus]:
    """A stack of this module's own, since its processes are paused and killed."""
    stack = Stack(("kafka", "registry", "postgres"))
    try:
        yield Bus(stack.start())
    finally:
        stack.close()


@pytest.fixture(scope="module")
def workers(bus: Bus) -> Iterator[dict[str, Worker]]:
    with ExitStack() as running:
        yield {name: running.enter_context(bus.running(name)) for name in PROCESSES}


@pytest.fixture(scope="module")
def fence(bus: Bus) -> Iterator[Fence]:
    admin = Admin(bus.stack.bootstrap, bus.stack.folder.secrets / "kafka-admin")
    made = Fence(admin)
    yield made
    made.close()


def _publish(bus: Bus) -> list[Published]:
    """A consent and its withdrawal, for a new person."""
    (pin,), id_ = pins(1), str(uuid4())
    with bus.publisher("vneid") as publisher:
        return [
            publisher.publish(event, subject=Pin(pin)).wait(20)
            for event in (given(pin, id_), withdrawn(pin, id_))
        ]


def _wait(fence: Fence, event: Published, *, timeout_s: float) -> float:
    return fence.wait(event.topic, event.partition, event.offset, timeout_s=timeout_s)


def test_fence_passes_when_all_processes_run(
    bus: Bus, workers: dict[str, Worker], fence: Fence
) -> None:
    for event in _publish(bus):
        assert _wait(fence, event, timeout_s=90) < 90
    assert {name: w.process.poll() for name, w in workers.items()} == dict.fromkeys(PROCESSES)


@pytest.mark.parametrize("room", ["consent", "enforce"])
def test_fence_waits_for_a_process_that_is_paused_and_passes_when_it_wakes(
    bus: Bus, workers: dict[str, Worker], fence: Fence, room: str
) -> None:
    _wait(fence, _publish(bus)[0], timeout_s=90)
    names = [f"{room}-0", f"{room}-1"]
    for name in names:
        workers[name].send(signal.SIGSTOP)
    try:
        _, withdrawal = _publish(bus)
        with pytest.raises(Overdue):
            _wait(fence, withdrawal, timeout_s=3)
    finally:
        for name in names:
            workers[name].send(signal.SIGCONT)
    assert _wait(fence, withdrawal, timeout_s=90) < 90


def test_ledger_holds_what_the_processes_recorded(bus: Bus, workers: dict[str, Worker]) -> None:
    producer = Producer(bus.stack.client_config())
    producer.produce("src.moj.civil-status.v1", b"no event", partition=0)  # a recorded dead letter
    assert producer.flush(20) == 0
    verifier = Verifier.parse(own.ledger_vkey_file(bus.stack.folder).read_text().strip())
    directory = LedgerDirectory(bus.stack.folder.ledger)
    bus.wait(lambda: verify_ledger(directory, verifier).size > 0, "a page in the ledger")
    assert workers["sealing"].stop() == 0
