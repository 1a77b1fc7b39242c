"""Counting attempts: after three crashes at one place, one event at a time, then set aside."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

import pytest
from civicbus_consumers.enforcement.endings import Ending
from civicbus_consumers.enforcement.handler import Step
from civicbus_consumers.enforcement.note import CAREFUL_AFTER, FRESH, Coordinates, Note
from civicbus_consumers.enforcement.rules import Taken
from civicbus_consumers.enforcement.worker import Worker
from civicbus_consumers.runtime.health import Health
from civicbus_schemas.errors import Fatal, Stopped, Unavailable
from civicbus_schemas.vocabulary import ConsentStatus

from tests.fakes.enforcement import FakeReleases, FakeSources
from tests.unit import enforcement_samples as samples


class Crash(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


class Rounds(threading.Event):
    """Set after so many rounds of a loop; waiting for it takes no time."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self._left = rounds

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return False


class Broker:
    """What outlives a worker: the events, the committed offset and the committed note."""

    def __init__(self, events: Sequence[Taken]) -> None:
        self.events, self.offset, self.note = list(events), 0, FRESH
        self.dead: list[int] = []
        self.delivered: list[int] = []

    def run(self, *, poison: int | None = None, batch_events: int = 4) -> None:
        """One life of a worker, from its start until all is done or it crashes on the poison."""
        bench, _, _, releases = samples.bench()
        sources = FakeSources(self.events[self.offset :])
        stop = threading.Event()
        in_batch: list[Taken] = []
        real_take = sources.take

        def take(limit: int, *, wait_s: float) -> list[Taken]:
            in_batch[:] = real_take(limit, wait_s=wait_s)
            if not in_batch:
                stop.set()
            return list(in_batch)

        def on_step(step: Step) -> None:
            offsets = [message.at.offset for message in in_batch]
            condemned = self.note.suspect is not None and self.note.suspect.offset in offsets
            if step is Step.TAKEN and poison in offsets and not (condemned and begun_condemned):
                raise Crash

        begun_condemned = self.note.suspect is not None
        sources.take = take  # type: ignore[method-assign]
        worker = Worker(
            bench,
            sources,  # type: ignore[arg-type]
            note=self.note,
            health=Health(),
            batch_events=batch_events,
            batch_wait_s=0,
            on_step=on_step,
        )
        try:
            worker.run(stop)
        finally:
            self._keep(releases)

    def _keep(self, releases: FakeReleases) -> None:
        for offsets, note in releases.committed:
            self.note = note
            for at in offsets:
                self.offset = at.offset
        for message in releases.produced:
            kept = self.dead if message.topic.endswith(".dlq") else self.delivered
            kept.append(0)


def test_poison_event_is_set_aside_alone_when_it_crashed_the_worker_again_and_again() -> None:
    broker = Broker([samples.taken(offset) for offset in range(10)])
    crashes = 0
    for _ in range(20):
        try:
            broker.run(poison=6)
        except Crash:
            crashes += 1
        else:
            break
    assert broker.offset == 10
    assert len(broker.dead) == 1, "the poison event, and only it, is a dead letter"
    assert len(broker.delivered) == 9, "every other event is delivered once"
    assert crashes == CAREFUL_AFTER + 1, "three in a batch, one alone"
    assert broker.note == Note(page=broker.note.page), "and all is forgotten"


def test_attempts_are_forgotten_when_a_batch_is_committed() -> None:
    broker = Broker([samples.taken(offset) for offset in range(3)])
    with pytest.raises(Crash):
        broker.run(poison=0)
    assert broker.note.attempt == 1
    broker.run()
    assert broker.note.attempt == 0
    assert len(broker.delivered) == 3


def test_attempt_does_not_count_when_the_outside_stopped_the_worker() -> None:
    bench, _, _, releases = samples.bench()

    def silent(_: int) -> object:
        raise Unavailable("the registry does not answer")

    bench.type_of = silent  # type: ignore[assignment]
    worker = Worker(
        bench,
        FakeSources([samples.taken()]),  # type: ignore[arg-type]
        note=Note(attempt=2),
        health=Health(),
        batch_events=10,
        batch_wait_s=0,
    )
    with pytest.raises(Unavailable):
        worker.run(threading.Event())
    assert [note.attempt for _, note in releases.committed] == [3, 2]


def test_nothing_is_taken_when_the_fuse_is_blown_and_all_when_it_holds_again() -> None:
    bench, _, pages, releases = samples.bench()
    pages.blown = True
    health, sources = Health(), FakeSources([samples.taken()])
    worker = Worker(
        bench,
        sources,  # type: ignore[arg-type]
        note=FRESH,
        health=health,
        batch_events=10,
        batch_wait_s=0,
    )
    worker.run(Rounds(3))
    assert (pages.pages, releases.produced) == ([], [])
    assert b"pages are not sealed" in health.answer("/readyz")[2]
    pages.blown = False
    worker.run(Rounds(3))
    assert len(releases.produced) == 1
    assert health.answer("/readyz")[0] is HTTPStatus.OK


def test_a_batch_comes_again_whole_when_the_fuse_blows_behind_its_taking() -> None:
    bench, _, pages, releases = samples.bench()
    sources = FakeSources([samples.taken()])
    real_take = sources.take

    def take(limit: int, *, wait_s: float) -> list[Taken]:
        pages.blown = not pages.blown  # holds at the check, blows behind it, and the reverse
        return real_take(limit, wait_s=wait_s)

    sources.take = take  # type: ignore[method-assign]
    recorder = bench.recorder
    worker = Worker(
        bench,
        sources,  # type: ignore[arg-type]
        note=FRESH,
        health=Health(),
        batch_events=10,
        batch_wait_s=0,
    )
    worker.run(Rounds(1))
    assert (pages.pages, releases.produced) == ([], [])
    pages.blown = False
    sources.take = real_take  # type: ignore[method-assign]
    worker.run(Rounds(1))
    assert (len(pages.pages), len(releases.produced)) == (1, 1)
    assert bench.recorder is recorder


@pytest.mark.parametrize(
    "note",
    [
        FRESH,
        Note(attempt=7),
        Note(attempt=1, suspect=Coordinates("src.moj.civil-status.v1", 11, 2**40)),
    ],
)
def test_note_is_read_as_it_was_written(note: Note) -> None:
    assert Note.parse(str(note)) == note


@pytest.mark.parametrize("text", ["v2 attempt=1", "v1 attempt=-1", "v1 attempt=1 ", "hello"])
def test_group_stops_when_the_note_is_not_ours(text: str) -> None:
    with pytest.raises(Stopped, match="not ours"):
        Note.parse(text)


@pytest.mark.parametrize("busy", [True, False])
def test_recipient_is_told_of_a_withdrawal_when_the_worker_has_seen_it(*, busy: bool) -> None:
    withdrawn = replace(samples.consent(), status=ConsentStatus.WITHDRAWN, version=2)
    bench, _, _, releases = samples.bench()
    stop = threading.Event()
    sources = FakeSources([samples.taken()] if busy else [])
    real_take = sources.take

    def take(limit: int, *, wait_s: float) -> list[Taken]:
        taken = real_take(limit, wait_s=wait_s)
        if taken or not busy:
            bench.states.untold.append(Ending(consent=withdrawn, partition=0, offset=7))
        stop.set()
        return taken

    sources.take = take  # type: ignore[method-assign]
    worker = Worker(
        bench,
        sources,  # type: ignore[arg-type]
        note=FRESH,
        health=Health(),
        batch_events=4,
        batch_wait_s=0,
    )
    worker.run(stop)
    topics = [message.topic for message in releases.produced]
    delivered = ["dlv.vss.civil-status.v1"] if busy else []
    assert topics == ["dlv.bank.civil-status.v1", *delivered], "no fence waits for a batch"
    assert bench.states.untold == []


def test_no_event_is_suspected_when_the_worker_dies_telling_of_a_withdrawal() -> None:
    withdrawn = replace(samples.consent(), status=ConsentStatus.WITHDRAWN, version=2)
    bench, _, _, releases = samples.bench()
    bench.states.untold.append(Ending(consent=withdrawn, partition=0, offset=7))
    releases.fails_at = "produce"
    worker = Worker(
        bench,
        FakeSources([samples.taken()]),  # type: ignore[arg-type]
        note=FRESH,
        health=Health(),
        batch_events=4,
        batch_wait_s=0,
    )
    with pytest.raises(Fatal):
        worker.run(threading.Event())
    assert releases.committed == [], "this life is not counted against the event that was taken"
