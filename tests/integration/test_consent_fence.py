"""The fence with the real processes: consents, enforcement and sealing as they are provisioned."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import uuid4

import pytest
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.fences import Withdrawal, examine
from civicbus_audit.note import Verifier
from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import published, verify_ledger
from civicbus_consumers.consent.fence import Fence
from civicbus_consumers.delivery import Withdrawn
from civicbus_consumers.runtime.process import EXIT_FENCED
from civicbus_consumers.subscription import Subscription
from civicbus_deploy.cli import app as civicbus
from civicbus_deploy.demo.books import Books
from civicbus_deploy.embedded import keys
from civicbus_producers.receipt import Published
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.ids import Pin
from civicbus_schemas.topics import consent_group, enforcement_group
from civicbus_schemas.vocabulary import RecordKind
from typer.testing import CliRunner

from tests.bus import Bus, Worker
from tests.citizens import Citizens, Stream, open_fence
from tests.integration.consent_place import given, pins, withdrawn
from tests.lives import card, child_pin
from tests.reconciliation import read_books
from tests.stack import DEADLINE_S
from tests.subjects import numbers_in

pytestmark = [pytest.mark.broker, pytest.mark.crash]

CARDS, AT_THE_BANK = "src.identity.identity.v1", "dlv.bank.identity.v1"
PROCESSES = ("consent-0", "consent-1", "enforce-0", "enforce-1", "sealing", "indexing")


@pytest.fixture(scope="module")
def workers(bus: Bus) -> Iterator[dict[str, Worker]]:
    with ExitStack() as running:
        yield {name: running.enter_context(bus.running(name)) for name in PROCESSES}


@pytest.fixture(scope="module")
def fence(bus: Bus) -> Iterator[Fence]:
    made = open_fence(bus)
    yield made
    made.close()


def _publish(bus: Bus) -> list[Published]:
    """A consent and its withdrawal, for a new person."""
    (pin,), id_ = pins(1), str(uuid4())
    with bus.publisher("vneid") as publisher:
        return [
            publisher.publish(event, subject=Pin(pin)).wait(DEADLINE_S)
            for event in (given(pin, id_), withdrawn(pin, id_))
        ]


def test_fence_passes_when_all_processes_run(
    bus: Bus, workers: dict[str, Worker], fence: Fence
) -> None:
    for event in _publish(bus):
        assert Citizens(bus, fence).pass_fence(event).partition == event.partition
    assert {name: w.process.poll() for name, w in workers.items()} == dict.fromkeys(PROCESSES)


@pytest.mark.parametrize("room", ["consent", "enforce"])
def test_fence_waits_for_a_process_that_is_paused_and_passes_when_it_wakes(
    bus: Bus, workers: dict[str, Worker], fence: Fence, room: str
) -> None:
    citizens = Citizens(bus, fence)
    citizens.pass_fence(_publish(bus)[0])
    names = [f"{room}-0", f"{room}-1"]
    for name in names:
        workers[name].send(signal.SIGSTOP)
    try:
        _, withdrawal = _publish(bus)
        citizens.held_up(withdrawal, for_s=3)
    finally:
        for name in names:
            workers[name].send(signal.SIGCONT)
    assert citizens.pass_fence(withdrawal).partition == withdrawal.partition


@pytest.fixture
def officers(bus: Bus) -> Iterator[None]:
    """Who tells the citizen what is unread, and who looks it up."""
    with bus.running("officers"), bus.running("unread"):
        for name in ("officers", "unread"):
            bus.wait(lambda name=name: bus.is_ready(name), f"{name} to be ready")  # type: ignore[misc]
        yield


@pytest.mark.usefixtures("workers", "officers")
def test_citizen_sees_what_is_unread_and_the_bank_is_told_behind_it_when_he_withdraws(
    bus: Bus, fence: Fence
) -> None:
    citizens = Citizens(bus, fence)
    [n] = islice(numbers_in(bus, 0, start=7000), 1)
    consent = citizens.give(n)
    with bus.publisher("identity") as publisher:
        for _ in range(3):
            publisher.publish(card(n), subject=child_pin(n)).wait(DEADLINE_S)
    bus.wait(lambda: len(_unread(bus, child_pin(n), consent)) == 3, "three cards at the bank")
    everybodys = Counter(one["recipient"] for one in _unread(bus, child_pin(n)))
    assert everybodys == {"bank": 3, "npd": 3}  # whose view does not run here
    assert _unread(bus, child_pin(n + 1)) == []
    with Subscription.connect("bank", bus.connection("bank"), families=["identity"]) as bank:
        first = next(bank.deliveries(idle_s=DEADLINE_S))
        assert first.consent == consent
        assert first.acknowledge()
    citizens.see_off(consent, citizens.withdraw(n, consent))
    unread = [one["record_id"] for one in _unread(bus, child_pin(n), consent)][::-1]
    assert len(unread) == 2
    assert first.record_id not in unread
    with Subscription.connect("bank", bus.connection("bank"), families=["identity"]) as bank:
        *rest, last = bank.deliveries(idle_s=0)
        assert [delivery.record_id for delivery in rest] == unread
        assert isinstance(last, Withdrawn)
        assert last.consent == consent
        assert all(received.acknowledge() for received in (*rest, last))
    assert _unread(bus, child_pin(n), consent) == []


def _unread(bus: Bus, pin: Pin, consent: str | None = None) -> list[dict[str, Any]]:
    """What the citizen is told of, the newest first; nothing while the index is not there."""
    narrowed = () if consent is None else ("--consent", consent)
    call = ["officers", "unread", "--name", pin.number, *narrowed, "--json"]
    done = CliRunner().invoke(civicbus, [*call, "--home", str(bus.stack.home)])
    if isinstance(done.exception, Unavailable):
        return []
    assert done.exit_code == 0, done.output
    told: list[dict[str, Any]] = json.loads(done.stdout)["unread"]
    return told


@dataclass
class Trouble:
    """What befalls the processes of a group; who is started anew runs until `restarted` ends."""

    bus: Bus
    workers: dict[str, Worker]
    restarted: ExitStack

    def restart(self, name: str, **environment: str) -> Worker:
        """Start another one of that name; the one before it."""
        before = self.workers[name]
        self.workers[name] = self.restarted.enter_context(self.bus.running(name, **environment))
        return before

    @contextmanager
    def paused(self, group: int) -> Iterator[None]:
        """Enforcement sleeps while the body runs."""
        worker = self.workers[enforcement_group(group)]
        worker.send(signal.SIGSTOP)
        yield
        worker.send(signal.SIGCONT)

    @contextmanager
    def dead(self, group: int) -> Iterator[None]:
        """Enforcement is dead while the body runs; then it is started, and consents restart."""
        self.workers[enforcement_group(group)].kill()
        yield
        self.restart(enforcement_group(group))
        self.workers[consent_group(group)].kill()
        self.restart(consent_group(group))

    @contextmanager
    def succeeded(self, group: int) -> Iterator[None]:
        """Enforcement sleeps while the body runs, and then has a successor."""
        name = enforcement_group(group)
        self.workers[name].send(signal.SIGSTOP)
        yield
        self._zombie = self.restart(name, CIVICBUS_HEALTH_PORT="0")

    def wake_the_zombie(self) -> None:
        """It finds out that it has a successor."""
        self._zombie.send(signal.SIGCONT)
        assert self._zombie.wait() == EXIT_FENCED


def test_ledger_keeps_to_every_fence_when_workers_die_pause_and_wake_as_zombies(
    bus: Bus, workers: dict[str, Worker], fence: Fence
) -> None:
    """Cards flow all the time, for six people; the partitions of nobody stay idle."""
    citizens = Citizens(bus, fence)
    people = {group: list(islice(numbers_in(bus, group, start=5000), 3)) for group in (0, 1)}
    consents = {n: citizens.give(n) for n in [*people[0], *people[1]]}
    stream, before = Stream(bus, {n: [] for n in consents}), _people_at_the_bank(bus)
    withdrawals: list[Withdrawal] = []
    with ExitStack() as restarted:
        trouble = Trouble(bus, workers, restarted)
        with stream.flowing():
            bus.wait(
                lambda: len(_people_at_the_bank(bus) - before) == len(consents),
                "the bank to have everybody's card",
            )
            for group, held_up in people.items():
                for n, befalls in zip(
                    held_up, (trouble.paused, trouble.dead, trouble.succeeded), strict=True
                ):
                    with befalls(group):
                        withdrawal = citizens.withdraw(n, consents[n])
                        citizens.held_up(withdrawal, for_s=1)
                    withdrawals.append(citizens.see_off(consents[n], withdrawal))
                    stream.await_more(n)
                trouble.wake_the_zombie()
        bus.wait(lambda: bus.is_drained(CARDS), "enforcement")
        _reconcile(bus, withdrawals)
    assert workers["sealing"].stop() == 0


def _people_at_the_bank(bus: Bus) -> set[object]:
    return {message.key() for message in bus.read_all(AT_THE_BANK)} - {None}


def _reconcile(bus: Bus, withdrawals: list[Withdrawal]) -> None:
    """The ledger holds every page, keeps to every fence, and explains every delivery."""
    books = read_books(bus, [AT_THE_BANK])
    directory = LedgerDirectory(bus.stack.folder.ledger)
    verifier = Verifier.parse(keys.ledger_vkey_file(bus.stack.folder).read_text().strip())

    def leaves() -> list[tuple[int, bytes]]:
        return list(StoredLog(directory.read, published(directory, verifier)[0].size).leaves())

    bus.wait(lambda: len(leaves()) >= len(books.headers) + len(books.records), "sealing")
    verify_ledger(directory, verifier)
    found = examine(leaves(), withdrawals)
    assert found.breaches == ()
    assert found.permits > 0
    assert found.withdrawn >= len(withdrawals) == 6
    assert books.unrecorded() == []
    _check_notices(books, withdrawals)
    ends = {w.consent: w.position for w in withdrawals}
    for line in books.exposed:
        record, end = books.records[line.record], ends.get(line.headers["ce_consent"])
        if end is not None and record.kind is RecordKind.ACCESS_DECISION:
            assert (record.positions.consent or 0) < end


def _check_notices(books: Books, withdrawals: list[Withdrawal]) -> None:
    """The bank was told of each withdrawal once, after a record, and behind all that it got."""
    told = Counter(line.headers["ce_consent"] for line in books.notices)
    assert {w.consent: told[w.consent] for w in withdrawals} == {w.consent: 1 for w in withdrawals}
    notices = {line.headers["ce_consent"]: line for line in books.notices}
    for line in books.notices:
        assert books.records[line.record].kind is RecordKind.WITHDRAWAL_TOLD
        assert books.page_of[line.record] in books.released_pages
    for line in books.delivered:
        notice = notices[line.headers["ce_consent"]]
        assert line.partition == notice.partition
        assert line.offset < notice.offset
