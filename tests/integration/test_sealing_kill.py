"""Sealing processes under real SIGKILL: no leaf twice, none lost, whatever the moment."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from civicbus_audit.committing import MAX_LEAVES
from civicbus_audit.completeness.commit import INDEX_COMMIT, IndexCommit
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.verify import published, verify_prefix
from civicbus_consumers.runtime.process import EXIT_FENCED
from civicbus_consumers.sealing.handler import Step
from civicbus_schemas.ids import new_recorder_id
from civicbus_schemas.page import Page

from tests.campaign import Rounds
from tests.fakes.pages import FakeRecorder, decision
from tests.integration.sealing_place import SealingPlace
from tests.nursery import Child
from tests.stack import DEADLINE_S, Stack, wait_until

pytestmark = [pytest.mark.broker, pytest.mark.crash]


@pytest.fixture
def place(stack: Stack, tmp_path: Path) -> SealingPlace:
    return SealingPlace.create(stack, tmp_path)


def _leaves(pages: list[Page]) -> list[bytes]:
    return [leaf for page in pages for leaf in (page.header, *page.records)]


def _checkpoint(place: SealingPlace) -> bytes:
    return published(LedgerDirectory(place.ledger_dir), place.verifier)[1]


@pytest.mark.parametrize("step", Step)
def test_no_leaf_is_lost_or_doubled_when_killed_after_a_step(
    place: SealingPlace, step: Step, rounds: Rounds
) -> None:
    recorder, pages, older = FakeRecorder(new_recorder_id()), list[Page](), list[bytes]()
    for _ in rounds:
        new = [recorder.write(*[decision()] * 40) for _ in range(4)]
        pages += new
        place.send(*new, new[-1])
        process = place.start(step)
        try:
            assert process.wait(DEADLINE_S) == -signal.SIGKILL
        finally:
            process.kill()
            process.wait()
        older.append(_checkpoint(place))
    _finish(place, pages, older)


def test_no_leaf_is_lost_or_doubled_when_killed_at_any_moment(
    place: SealingPlace, rounds: Rounds
) -> None:
    chance = random.Random(7)  # noqa: S311
    recorder, pages, older = FakeRecorder(new_recorder_id()), list[Page](), list[bytes]()
    for _ in rounds:
        process = place.start()
        pause = threading.Event()
        try:
            end = chance.uniform(1.5, 3.0)
            while end > 0:
                page = recorder.write(*[decision()] * chance.randint(1, 90))
                pages.append(page)
                place.send(page)
                pause.wait(0.02)
                end -= 0.02
        finally:
            process.kill()
            process.wait()
        if place.size() >= 0:
            older.append(_checkpoint(place))
    _finish(place, pages, older)


def test_no_leaf_is_lost_doubled_or_filed_by_another_time_when_the_clock_jumps_within_appends(
    place: SealingPlace, rounds: Rounds
) -> None:
    """Hours ahead and back; commits follow the log's time, which is the broker's."""
    place.settle(commit_every_s=60)
    chance = random.Random(rounds.count)  # noqa: S311
    at, times = datetime.now(UTC) - timedelta(days=6), list[datetime]()
    recorder, pages, older = FakeRecorder(new_recorder_id()), list[Page](), list[bytes]()
    for _ in rounds:
        process = place.start_jumping(jumps=chance.randint(3, 30))

        def is_dead_of_a_page_more(process: Child = process) -> bool:
            times.append(at + timedelta(seconds=20 * len(times)))
            pages.append(recorder.write(*[decision()] * chance.randint(1, 40)))
            place.send(pages[-1], at=times[-1])
            return process.poll() is not None

        try:
            wait_until(is_dead_of_a_page_more, what="the last jump")
            assert process.wait() == -signal.SIGKILL
        finally:
            process.kill()
            process.wait()
        if place.size() >= 0:
            older.append(_checkpoint(place))
    assert place.logs().count("the clock is set") >= 3 * rounds.count
    minutes = [time.replace(second=0, microsecond=0) for time in times]
    _finish(place, pages, older, commits=[now for then, now in pairwise(minutes) if then != now])


def test_second_process_ends_when_the_first_one_holds_the_ledger(place: SealingPlace) -> None:
    first = place.start()
    try:
        wait_until(lambda: place.size() == 0, what="the first process to open the ledger")
        assert place.start().wait(DEADLINE_S) == EXIT_FENCED
        assert first.poll() is None
        first.send_signal(signal.SIGTERM)
        assert first.wait(DEADLINE_S) == 0
    except subprocess.TimeoutExpired:
        pytest.fail("a process did not end")
    finally:
        first.kill()
        first.wait()


def _finish(
    place: SealingPlace, pages: list[Page], older: list[bytes], *, commits: Sequence[datetime] = ()
) -> None:
    """Seal what is left; then every leaf is there once, in order, and all checkpoints hold.

    `commits`: when; but a campaign may make so many leaves that some come before their time.
    """
    expected = _leaves(pages)
    early = len(expected) >= MAX_LEAVES
    with place.sealing():
        wait_until(lambda: _sealed(place) >= len(expected), what="all leaves")
        wait_until(lambda: place.indexed() == place.size(), what="the index")
    leaves = place.leaves()
    assert [leaf for leaf in leaves if not INDEX_COMMIT.wrote(leaf)] == expected
    committed = filter(INDEX_COMMIT.wrote, leaves)
    assert early or [IndexCommit.decode(leaf).at for leaf in committed] == [*commits]
    for note in older:
        verify_prefix(LedgerDirectory(place.ledger_dir), place.verifier, older=note)


def _sealed(place: SealingPlace) -> int:
    """How many leaves there are, without index commits."""
    leaves = place.leaves() if place.size() > 0 else []
    return sum(not INDEX_COMMIT.wrote(leaf) for leaf in leaves)
