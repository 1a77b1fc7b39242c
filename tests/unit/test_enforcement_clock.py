"""Old decisions: a batch that takes too long is not released on them, and comes again in parts."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from civicbus_audit.fences import examine
from civicbus_consumers.enforcement.clock import AT_LEAST_S, DECIDING_S, PROMPT_S, Abandoned
from civicbus_consumers.enforcement.deciding import Bench
from civicbus_consumers.enforcement.handler import Step, release_batch
from civicbus_consumers.enforcement.note import FRESH, Note
from civicbus_consumers.enforcement.rules import Taken
from civicbus_consumers.enforcement.worker import ATTEMPTS, Worker
from civicbus_consumers.runtime.health import Health
from civicbus_schemas.errors import Fenced
from civicbus_schemas.page import HeaderLeaf, Page, PageHeader

from tests.fakes.enforcement import FakeClock, FakeReleases, FakeSources
from tests.unit import enforcement_samples as samples

TOO_LONG_S = PROMPT_S + 0.1


def at_step(step: Step, act: Callable[[], None]) -> Callable[[Step], None]:
    """Does something whenever a batch comes to that step."""
    return lambda now: act() if now is step else None


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def header(page: Page) -> PageHeader:
    return HeaderLeaf.decode(page.header).header


# --- one batch ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [Step.DECIDED, Step.PAGE_ACKNOWLEDGED])
def test_nothing_is_produced_when_the_decision_is_too_old_before_the_transaction(
    clock: FakeClock, step: Step
) -> None:
    bench, journal, _, _ = samples.bench()
    bench.clock = clock.clock
    with pytest.raises(Abandoned, match=r"2\.1 s"):
        release_batch(
            [samples.taken()],
            bench,
            on_step=at_step(step, lambda: clock.pass_time(TOO_LONG_S)),
        )
    assert journal.lines == ["page"], "the record is there, and says what might have been"
    assert bench.recorder.chain.released is None


@pytest.mark.parametrize("step", [Step.PRODUCED, Step.OFFSETS_SENT])
def test_transaction_is_aborted_when_the_decision_grew_too_old_in_it(
    clock: FakeClock, step: Step
) -> None:
    bench, journal, _, releases = samples.bench()
    bench.clock = clock.clock
    with pytest.raises(Abandoned):
        release_batch(
            [samples.taken()],
            bench,
            on_step=at_step(step, lambda: clock.pass_time(TOO_LONG_S)),
        )
    assert journal.lines[-2:] == ["offsets", "abort"]
    assert releases.committed == []


@pytest.mark.parametrize("seconds", [TOO_LONG_S, -TOO_LONG_S])
def test_batch_is_abandoned_when_somebody_set_the_clock(clock: FakeClock, seconds: float) -> None:
    bench, _, _, releases = samples.bench()
    bench.clock = clock.clock
    with pytest.raises(Abandoned):
        release_batch(
            [samples.taken()],
            bench,
            on_step=at_step(Step.PAGE_ACKNOWLEDGED, lambda: clock.set_back(seconds)),
        )
    assert releases.committed == []


def test_batch_is_released_when_it_is_just_in_time(clock: FakeClock) -> None:
    bench, _, _, releases = samples.bench()
    bench.clock = clock.clock
    release_batch(
        [samples.taken()],
        bench,
        on_step=at_step(Step.OFFSETS_SENT, lambda: clock.pass_time(PROMPT_S)),
    )
    assert len(releases.committed) == 1


def test_batch_is_cut_when_deciding_takes_long(clock: FakeClock) -> None:
    bench, _, log, _ = samples.bench()
    bench.clock = clock.clock
    slow_type_of = bench.type_of

    def type_of(schema_id: int) -> object:
        clock.pass_time(0.4 * DECIDING_S)
        return slow_type_of(schema_id)

    bench.type_of = type_of  # type: ignore[assignment]
    released = release_batch([samples.taken(n) for n in range(8)], bench)
    assert (released.events, len(released.rest)) == (3, 5)
    assert header(log.pages[0]).at == FakeClock().at, "all at one time"


@pytest.mark.parametrize(("news", "events"), [(True, 2), (False, 8)])
def test_batch_is_cut_when_a_newer_state_has_arrived(
    clock: FakeClock, *, news: bool, events: int
) -> None:
    bench, _, _, _ = samples.bench()
    bench.clock = clock.clock
    bench.states.news = news  # type: ignore[attr-defined]
    slow_type_of = bench.type_of

    def type_of(schema_id: int) -> object:
        clock.pass_time(0.6 * AT_LEAST_S)
        return slow_type_of(schema_id)

    bench.type_of = type_of  # type: ignore[assignment]
    released = release_batch([samples.taken(n) for n in range(8)], bench)
    assert released.events == events, "at least so long, so that a flood of changes stops nothing"


# --- batch after batch ----------------------------------------------------------------------------


class Slow:
    """A worker whose pages take a time that depends on how many events are on them."""

    def __init__(self, clock: FakeClock, *, per_event_s: float, events: int) -> None:
        self.bench, self.journal, self.log, self.releases = samples.bench()
        self.bench.clock = clock.clock
        self.stop = threading.Event()
        self.sources = FakeSources([samples.taken(n) for n in range(events)])
        self._clock, self._per_event_s = clock, per_event_s
        self._take, self.sizes = self.sources.take, list[int]()
        self.sources.take = self.take  # type: ignore[method-assign]

    def take(self, limit: int, *, wait_s: float) -> list[Taken]:
        taken = self._take(limit, wait_s=wait_s)
        if taken:
            self.sizes.append(len(taken))
        else:
            self.stop.set()
        return taken

    def run(self, *, note: Note = FRESH) -> None:
        worker = Worker(
            self.bench,
            self.sources,  # type: ignore[arg-type]
            note=note,
            health=Health(),
            batch_events=16,
            batch_wait_s=0,
            on_step=at_step(Step.PAGE_ACKNOWLEDGED, self._wait),
        )
        worker.run(self.stop)

    def _wait(self) -> None:
        self._clock.pass_time(self._per_event_s * self.sizes[-1])

    def released(self) -> list[int]:
        """The offsets that were committed, in order."""
        return [at.offset for sources, _ in self.releases.committed for at in sources]


def test_batches_shrink_until_they_are_prompt_when_each_event_takes_long(clock: FakeClock) -> None:
    slow = Slow(clock, per_event_s=0.7, events=12)
    slow.run()
    assert slow.sizes[:4] == [12, 6, 3, 1]
    assert slow.released()[-1] == 12
    assert len(slow.releases.produced) == 12, "every event once"


def test_batches_grow_again_when_it_was_a_pause(clock: FakeClock) -> None:
    slow = Slow(clock, per_event_s=0.0, events=200)
    pauses = iter([TOO_LONG_S])
    slow._wait = lambda: clock.pass_time(next(pauses, 0.0))  # type: ignore[method-assign]
    slow.run()
    assert slow.sizes[:3] == [16, 8, 9]
    assert max(slow.sizes[3:]) == 16


def test_pages_of_abandoned_batches_are_closed_by_a_new_recorder(clock: FakeClock) -> None:
    slow = Slow(clock, per_event_s=0.7, events=12)
    slow.run()
    headers = [header(page) for page in slow.log.pages]
    assert [h.sequence for h in headers[:5]] == [0, 0, 0, 0, 1]
    assert len({h.recorder for h in headers[:4]}) == 4, "three pages are left behind"
    assert headers[4].released is not None
    assert headers[4].released.recorder == headers[3].recorder
    assert any(h.closes and h.closes.recorder == headers[3].recorder for h in headers[5:])
    leaves = [leaf for page in slow.log.pages for leaf in (page.header, *page.records)]
    assert examine(enumerate(leaves)).breaches == ()


def test_worker_gives_up_and_blames_no_event_when_one_alone_is_always_too_slow(
    clock: FakeClock,
) -> None:
    slow = Slow(clock, per_event_s=TOO_LONG_S, events=2)
    with pytest.raises(Abandoned):
        slow.run(note=Note(attempt=3))
    assert len(slow.sizes) == ATTEMPTS
    assert slow.released() == []
    assert slow.releases.committed[-1][1] == Note(attempt=3), "this life does not count"


def test_worker_writes_no_further_page_when_it_was_paused_and_has_a_successor(
    clock: FakeClock,
) -> None:
    slow = Slow(clock, per_event_s=TOO_LONG_S, events=2)

    class Zombie(FakeReleases):
        def begin(self) -> None:
            if slow.log.pages:
                raise Fenced("a successor has taken over")

    slow.bench.releases = Zombie(slow.journal)  # type: ignore[assignment]
    with pytest.raises(Fenced):
        slow.run()
    assert len(slow.log.pages) == 1


def test_what_the_abandoned_batch_held_is_decided_anew(clock: FakeClock) -> None:
    """A withdrawal that came in meanwhile counts."""
    slow = Slow(clock, per_event_s=0.0, events=1)
    states: Bench = slow.bench
    states.states.consents = samples.consents(samples.consent())  # type: ignore[attr-defined]

    def pause_and_withdraw() -> None:
        if len(slow.log.pages) == 1:
            clock.pass_time(TOO_LONG_S)
            states.states.consents = {}  # type: ignore[attr-defined]

    slow._wait = pause_and_withdraw  # type: ignore[method-assign]
    slow.run()
    topics = [message.topic for message in slow.releases.produced]
    assert topics == ["dlv.vss.civil-status.v1"]
