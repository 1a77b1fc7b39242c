"""Supervision, without a process: when a death is noticed, when the next start is due."""

from __future__ import annotations

import pytest
from civicbus_deploy.embedded.backoff import LONGEST_DELAY_S, STEADY_AFTER_S, Backoff
from civicbus_deploy.embedded.failures import PortTaken
from civicbus_deploy.embedded.watch import Watch
from hypothesis import given
from hypothesis import strategies as st


class FakeProcess:
    """A process whose end the test chooses."""

    pid = 4711

    def __init__(self) -> None:
        self.code: int | None = None

    def exit_code(self) -> int | None:
        return self.code


class FakeStarter:
    """Starts fake processes; `refuses` makes the next start fail."""

    def __init__(self) -> None:
        self.started: list[FakeProcess] = []
        self.refuses = False

    def __call__(self) -> FakeProcess:
        if self.refuses:
            raise PortTaken("taken")
        self.started.append(FakeProcess())
        return self.started[-1]


@pytest.fixture
def starter() -> FakeStarter:
    return FakeStarter()


def test_process_is_started_at_once_when_it_is_new(starter: FakeStarter) -> None:
    watch = Watch(name="enforce-0", start=starter)
    assert watch.tick(100.0) == "started"
    assert watch.tick(100.1) is None
    assert len(starter.started) == 1


def test_died_process_is_started_again_only_when_its_delay_is_over(starter: FakeStarter) -> None:
    watch = Watch(name="enforce-0", start=starter)
    watch.tick(100.0)
    starter.started[0].code = -9
    assert watch.tick(101.0) == "died (exit code -9); next start in 0.25 s"
    assert watch.report()["state"] == "waiting"
    assert watch.tick(101.2) is None
    assert watch.tick(101.25) == "started again"
    assert watch.report() == {
        "state": "up",
        "pid": 4711,
        "deaths": 1,
        "last_exit": "exit code -9",
        "troubled": False,
    }


def test_failed_start_counts_as_a_death_when_its_port_is_taken(starter: FakeStarter) -> None:
    watch = Watch(name="kafka", start=starter)
    starter.refuses = True
    for now in (0.0, 10.0, 20.0):
        watch.tick(now)
    assert watch.report()["troubled"]
    assert watch.last_exit == "not started: PortTaken"
    starter.refuses = False
    assert watch.tick(60.0) == "started again"


@given(st.integers(1, 200))
def test_delay_grows_and_stays_bounded_when_deaths_go_on(deaths: int) -> None:
    before, after = Backoff(deaths=deaths), Backoff(deaths=deaths + 1)
    assert 0 < before.delay_s <= after.delay_s <= LONGEST_DELAY_S


def test_slate_is_clean_when_the_last_life_was_long() -> None:
    tired = Backoff(deaths=9)
    assert tired.after_death(lived_s=STEADY_AFTER_S) == Backoff(deaths=1)
    assert tired.after_death(lived_s=1.0) == Backoff(deaths=10)
