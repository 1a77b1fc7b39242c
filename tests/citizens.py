"""The citizens' side for tests of own processes: consents, their fences, and cards in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from civicbus_audit.fences import Withdrawal
from civicbus_consumers.consent.fence import Fence, Holder, Passed
from civicbus_producers.receipt import Published
from civicbus_schemas.errors import Overdue
from civicbus_schemas.event import Event
from civicbus_schemas.ids import Pin

from tests.bus import Bus
from tests.lives import card, card_consent, card_withdrawal, child_pin
from tests.stack import DEADLINE_S

ASKED_S = 5.0


def open_fence(bus: Bus, *, holders: Sequence[Holder] = ()) -> Fence:
    """A fence with the admin's rights."""
    return Fence(bus.stack.admin_access, holders=holders)


@dataclass(frozen=True)
class Citizens:
    """What citizens publish, and when it binds."""

    bus: Bus
    fence: Fence

    def publish(self, event: Event, subject: Pin) -> Published:
        """Publish one consent event and wait until it is durable."""
        with self.bus.publisher("vneid") as vneid:
            return vneid.publish(event, subject=subject).wait(DEADLINE_S)

    def give(self, n: int) -> str:
        """A consent for cards, in force everywhere; its id."""
        consent = str(uuid4())
        self.pass_fence(self.publish(card_consent(n, consent_id=consent), child_pin(n)))
        return consent

    def withdraw(self, n: int, consent: str) -> Published:
        """Take it back, and do not wait for the fence."""
        return self.publish(card_withdrawal(n, consent_id=consent), child_pin(n))

    def pass_fence(self, at: Published) -> Passed:
        """Wait until it binds everywhere."""
        passed, held_up_by = list[Passed](), ""

        def passes() -> bool:
            nonlocal held_up_by
            try:
                passed.append(self._wait(at, timeout_s=ASKED_S))
            except Overdue as late:
                held_up_by = str(late)
            return bool(passed)

        try:
            self.bus.wait(passes, "a fence to pass")
        except AssertionError as error:
            error.add_note(held_up_by)
            raise
        return passed[0]

    def held_up(self, at: Published, *, for_s: float) -> str:
        """Whom it waits for, as a fence says that has not passed for so long."""
        with pytest.raises(Overdue) as late:
            self._wait(at, timeout_s=for_s)
        return str(late.value)

    def _wait(self, at: Published, *, timeout_s: float) -> Passed:
        return self.fence.wait(at.topic, at.partition, at.offset, timeout_s=timeout_s)

    def see_off(self, consent: str, at: Published) -> Withdrawal:
        """Wait until a withdrawal binds; what the citizen's side then holds against the ledger."""
        passed = self.pass_fence(at)
        return Withdrawal(consent=consent, partition=passed.partition, position=passed.position)


@dataclass
class Stream:
    """Cards of some people, published without a pause; their event ids, in order."""

    bus: Bus
    ids: dict[int, list[str]] = field(default_factory=dict)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Publish in a thread while the body runs."""
        with going_on(self._publish):
            yield

    def _publish(self, stop: threading.Event) -> None:
        with self.bus.publisher("identity") as publisher:
            while not stop.is_set():
                for n, ids in self.ids.items():
                    ids.append(publisher.publish(card(n), subject=child_pin(n)).event_id)
                publisher.flush(DEADLINE_S)

    def await_more(self, n: int, count: int = 4) -> None:
        """Wait until so many more cards of a person were published."""
        until = len(self.ids[n]) + count
        self.bus.wait(lambda: len(self.ids[n]) >= until, "the stream")


@contextmanager
def going_on(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do something in a thread while the body runs; its errors are the test's."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work, stop)
        try:
            yield
        finally:
            stop.set()
            done.result(DEADLINE_S)
