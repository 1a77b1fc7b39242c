"""Sealing processes under real SIGKILL: no leaf twice, none lost, whatever the moment."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.verify import published, verify_prefix
from civicbus_consumers.runtime.process import EXIT_FENCED
from civicbus_consumers.sealing.handler import Step
from civicbus_schemas.ids import new_recorder_id
from civicbus_schemas.page import Page

from tests.fakes.pages import FakeRecorder, decision
from tests.integration.sealing_place import SealingPlace
from tests.stack import Stack, wait_until

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
    place: SealingPlace, step: Step, rounds: int
) -> None:
    recorder, pages, older = FakeRecorder(new_recorder_id()), list[Page](), list[bytes]()
    for _ in range(rounds):
        new = [recorder.write(*[decision()] * 40) for _ in range(4)]
        pages += new
        place.send(*new, new[-1])
        process = place.start(step)
        try:
            assert process.wait(60) == -signal.SIGKILL
        finally:
            process.kill()
            process.wait()
        older.append(_checkpoint(place))
    _finish(place, pages, older)


def test_no_leaf_is_lost_or_doubled_when_killed_at_any_moment(
    place: SealingPlace, rounds: int
) -> None:
    chance = random.Random(7)  # noqa: S311
    recorder, pages, older = FakeRecorder(new_recorder_id()), list[Page](), list[bytes]()
    for _ in range(rounds):
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


def test_second_process_ends_when_the_first_one_holds_the_ledger(place: SealingPlace) -> None:
    first = place.start()
    try:
        wait_until(lambda: place.size() == 0, what="the first process to open the ledger")
        assert place.start().wait(60) == EXIT_FENCED
        assert first.poll() is None
        first.send_signal(signal.SIGTERM)
        assert first.wait(30) == 0
    except subprocess.TimeoutExpired:
        pytest.fail("a process did not end")
    finally:
        first.kill()
        first.wait()


def _finish(place: SealingPlace, pages: list[Page], older: list[bytes]) -> None:
    """Seal what is left; then every leaf is there once, in order, and all checkpoints hold."""
    expected = _leaves(pages)
    with place.sealing():
        wait_until(lambda: place.size() >= len(expected), what="all leaves")
        wait_until(lambda: place.indexed() == len(expected), what="the index")
    assert place.leaves() == expected
    for note in older:
        verify_prefix(LedgerDirectory(place.ledger_dir), place.verifier, older=note)
