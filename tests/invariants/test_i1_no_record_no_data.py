"""I1: data reaches a recipient only after its audit record is durably acknowledged.

The worker is killed after each step of the release, and paused past its transaction. Committed
readers lose nothing and get nothing twice; even readers who see aborted data see none without a
record.
"""

from __future__ import annotations

import signal
from itertools import islice

import pytest
from civicbus_consumers.runtime.process import EXIT_FENCED, EXIT_REFUSED
from civicbus_deploy.demo.books import Books
from civicbus_deploy.embedded.own import ENFORCEMENT
from civicbus_deploy.provisioning import provision
from civicbus_schemas.topics import AUDIT_PAGE, GROUPS
from civicbus_schemas.vocabulary import RecordKind
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from tests.bus import Bus
from tests.campaign import Rounds
from tests.lives import BIRTH_RECIPIENTS, birth, child_pin
from tests.reconciliation import delivered_but_unreleased, delivered_count, read_books
from tests.stack import DEADLINE_S
from tests.subjects import numbers_in

pytestmark = [pytest.mark.broker, pytest.mark.crash]

SOURCE = "src.moj.civil-status.v1"
DELIVERIES = tuple(f"dlv.{agency}.civil-status.v1" for agency in BIRTH_RECIPIENTS)
STEPS = (
    "taken:1",
    "decided:1",
    "page-sent:1",
    "page-acknowledged:1",
    "produced:1",
    "produced:7",
    "offsets-sent:1",
)


class Births:
    """Publishes births and remembers their event ids."""

    def __init__(self, bus: Bus) -> None:
        self._bus, self.ids = bus, set[str]()
        self._numbers = [numbers_in(bus, group, start=1) for group in range(GROUPS)]

    def publish(self, count: int) -> None:
        """Publish `count` births, as many in each group, and wait until they are durable."""
        with self._bus.publisher("moj") as publisher:
            for numbers in self._numbers:
                for n in islice(numbers, count // GROUPS):
                    receipt = publisher.publish(birth(n), subject=child_pin(n))
                    self.ids.add(receipt.event_id)


@pytest.fixture(scope="module")
def births(bus: Bus) -> Births:
    """The births of this module."""
    return Births(bus)


def settle(bus: Bus) -> Books:
    """Let successors finish everything, and open the books."""
    bus.settle(SOURCE)
    return read_books(bus, DELIVERIES)


def assert_books_hold(books: Books, ids: set[str]) -> None:
    """Nothing lost, nothing twice, nothing unrecorded."""
    expected = {(id_, topic) for id_ in ids for topic in DELIVERIES}
    counts = delivered_count(books)
    assert set(counts) == expected, "every birth is delivered to everyone who may have it"
    assert set(counts.values()) == {1}, "and once"
    assert books.unrecorded() == [], "even aborted data has a durable record"
    assert {r.kind for r in books.records.values()} == {
        RecordKind.ACCESS_DECISION, RecordKind.POLICY_SET,
    }  # fmt: skip


def test_nothing_is_lost_doubled_or_unrecorded_when_the_worker_dies_after_any_step(
    bus: Bus, births: Births, rounds: Rounds
) -> None:
    for _ in rounds:
        for step in STEPS:
            births.publish(12)
            # The second life makes progress before it dies: three deaths at one place are a crash
            # loop, which I2 is about.
            for place in (step, "committed:1"):
                with bus.running("enforce-0", "--die-at", place) as worker:
                    assert worker.wait() == -signal.SIGKILL, worker.log.read_text()[-2000:]
    books = settle(bus)
    assert_books_hold(books, births.ids)
    aborted = set(books.headers) - books.released_pages
    assert any(books.headers[page].records for page in aborted), "some pages were never released"
    with_records = {p for p in map(books.page_of.get, books.records) if p is not None}
    unreleased = {books.page_of[r] for r in delivered_but_unreleased(books)}
    assert unreleased <= _newest(books, with_records), "only the newest page may await its word"


def test_batch_is_taken_again_when_the_clock_is_set_before_its_release(
    bus: Bus, births: Births, rounds: Rounds
) -> None:
    before = _in_vain(settle(bus))
    steps = ("page-acknowledged:1", "offsets-sent:1")
    for _ in rounds:
        for step in steps:
            births.publish(12)
            with bus.running("enforce-0", "--jump-at", step) as worker, bus.running("enforce-1"):
                bus.wait(lambda: bus.is_drained(SOURCE), "enforcement")
                assert worker.process.poll() is None, worker.log.read_text()[-2000:]
    books = settle(bus)
    assert_books_hold(books, births.ids)
    assert len(_in_vain(books) - before) == rounds.count * len(steps), "each jump cost one page"


def _in_vain(books: Books) -> set[tuple[str, int]]:
    """The pages of the group whose clock is set, whose records no committed delivery names.

    On a slow machine a batch of the other group may grow too old by itself.
    """
    named = {books.page_of[line.record] for line in books.delivered}
    pages = set(books.page_of.values()) - named
    return {page for page in pages if books.headers[page].process == "enforce-0"}


def _newest(books: Books, pages: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """The last page of each recorder that nobody has succeeded yet."""
    return {(r, n) for r, n in pages if (r, n + 1) not in books.headers}


@pytest.mark.parametrize("step", ["page-acknowledged:1", "produced:3", "offsets-sent:1"])
def test_paused_worker_is_fenced_and_exits_when_a_successor_has_started(
    bus: Bus, births: Births, step: str, rounds: Rounds
) -> None:
    for _ in rounds:
        births.publish(12)
        with bus.running("enforce-0", "--pause-at", step) as paused:
            bus.wait(lambda: _is_stopped(paused.process.pid), "the worker to pause")
            # The zombie holds the port.
            successor_ = bus.running("enforce-0", CIVICBUS_HEALTH_PORT="0")
            with successor_ as successor, bus.running("enforce-1"):
                bus.wait(lambda: bus.is_drained(SOURCE), "the successor")
                paused.send(signal.SIGCONT)
                assert paused.wait() == EXIT_FENCED, paused.log.read_text()[-2000:]
                assert successor.process.poll() is None, "the zombie must not disturb its successor"
    assert_books_hold(read_books(bus, DELIVERIES), births.ids)


def test_transaction_of_a_paused_worker_is_aborted_when_its_time_is_over(
    bus: Bus, births: Births
) -> None:
    births.publish(12)
    with bus.running(
        *("enforce-0", "--pause-at", "offsets-sent:1"),
        supervised=False,
        CIVICBUS_TRANSACTION_TIMEOUT_S="2",
    ) as paused:
        bus.wait(lambda: _is_stopped(paused.process.pid), "the worker to pause")
        bus.wait(lambda: not _open_transactions(bus), "the broker to abort")
        paused.send(signal.SIGCONT)
        assert paused.wait() != 0, "its transaction is gone"
    assert_books_hold(settle(bus), births.ids)


def test_nothing_is_delivered_when_pages_cannot_be_written(bus: Bus, births: Births) -> None:
    before = len(settle(bus).exposed)
    _forbid_pages(bus)
    births.publish(12)
    with bus.running("enforce-0") as first, bus.running("enforce-1") as second:
        assert {first.wait(), second.wait()} == {EXIT_REFUSED}
    assert len(read_books(bus, DELIVERIES).exposed) == before, "not even an aborted delivery"
    provision(bus.stack.home)  # gives the grant back
    assert_books_hold(settle(bus), births.ids)


def test_nothing_is_released_when_sealing_is_silent_and_all_is_when_it_speaks_again(
    bus: Bus, births: Births
) -> None:
    bus.write_settings(sealing_limit_s=5)
    with bus.running("enforce-0"), bus.running("enforce-1"), bus.running("sealing") as sealing:
        bus.wait(lambda: all(map(bus.is_ready, ENFORCEMENT)), "the pages so far to be sealed")
        births.publish(4)
        bus.wait(lambda: bus.is_drained(SOURCE), "enforcement")
        sealing.send(signal.SIGSTOP)
        bus.wait(lambda: not any(map(bus.is_ready, ENFORCEMENT)), "the fuses to blow")
        before = read_books(bus, DELIVERIES)
        births.publish(12)
        assert not any(map(bus.is_ready, ENFORCEMENT))
        after = read_books(bus, DELIVERIES)
        assert after.records == before.records
        assert delivered_count(after) == delivered_count(before)
        sealing.send(signal.SIGCONT)
        bus.wait(lambda: all(map(bus.is_ready, ENFORCEMENT)), "the fuses to hold again")
        bus.wait(lambda: bus.is_drained(SOURCE), "enforcement")
    bus.write_settings()
    assert_books_hold(settle(bus), births.ids)


def _forbid_pages(bus: Bus) -> None:
    """Take from enforcement the right to write pages."""
    grants = AclBindingFilter(
        ResourceType.TOPIC,
        AUDIT_PAGE,
        ResourcePatternType.LITERAL,
        "User:bus-enforce",
        "*",
        AclOperation.WRITE,
        AclPermissionType.ALLOW,
    )
    admin = bus.stack.admin()
    [removed] = [future.result(DEADLINE_S) for future in admin.delete_acls([grants]).values()]
    assert len(removed) == 1


def _is_stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123
        return stat.read().rpartition(") ")[2].startswith("T")


def _open_transactions(bus: Bus) -> bool:
    """Whether any delivery partition has an end beyond its last stable offset."""

    def ends(level: str) -> list[int]:
        consumer = Consumer(bus.stack.client_config(group_id="test-ends", isolation_level=level))
        try:
            return [
                consumer.get_watermark_offsets(TopicPartition(topic, p), DEADLINE_S)[1]
                for topic in DELIVERIES
                for p in range(12)
            ]
        finally:
            consumer.close()

    return ends("read_committed") != ends("read_uncommitted")
