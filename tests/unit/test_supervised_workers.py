"""Which end of a process is a beginning, for the supervisor that every test is of its own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from civicbus_consumers.runtime.process import EXIT_FENCED, EXIT_UNAVAILABLE

from tests.bus import Worker


class Ended:
    """A process that has ended with a code, or lives (`None`)."""

    pid = 0

    def __init__(self, code: int | None) -> None:
        self.code = code

    def poll(self) -> int | None:
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        assert timeout is not None
        assert self.code is not None
        return self.code

    def send_signal(self, sig: int) -> None:
        raise AssertionError(sig)

    def kill(self) -> None:
        raise AssertionError("killed")


def started(*codes: int | None, supervised: bool = True) -> Worker:
    """A worker whose lives end with these codes, one after the other."""
    lives: Iterator[Ended] = map(Ended, codes)
    return Worker("enforce-0", lambda: next(lives), Path("no.log"), supervised)


def test_worker_is_started_again_when_what_it_needs_did_not_answer() -> None:
    worker = started(EXIT_UNAVAILABLE, None)
    worker.tend()
    assert worker.process.poll() is None
    worker.tend()
    assert worker.process.poll() is None


@pytest.mark.parametrize("code", [0, EXIT_FENCED, -signal.SIGKILL])
def test_worker_stays_ended_when_it_ended_for_good(code: int) -> None:
    worker = started(code)
    worker.tend()
    assert worker.process.poll() == code
    assert worker.wait() == code


def test_its_end_for_good_is_told_when_it_was_started_again_before() -> None:
    worker = started(EXIT_UNAVAILABLE, EXIT_UNAVAILABLE, -signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL


def test_nothing_is_started_again_when_the_test_is_about_that_end() -> None:
    worker = started(EXIT_UNAVAILABLE, supervised=False)
    worker.tend()
    assert worker.wait() == EXIT_UNAVAILABLE
