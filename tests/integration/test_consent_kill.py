"""Consent processes that die or sleep at the worst moments: every event counts, and once.

The sources are folded by real processes; what they leave is compared with the fold itself.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from civicbus_consumers.consent.handler import Step
from civicbus_consumers.runtime.process import EXIT_FENCED
from civicbus_schemas.consent import SubjectConsents
from civicbus_schemas.vocabulary import ConsentStatus

from tests.bus import Worker
from tests.campaign import Rounds
from tests.integration.consent_place import ConsentPlace, is_stopped, pins, wake
from tests.stack import Stack, wait_until

pytestmark = [pytest.mark.broker, pytest.mark.crash]


@pytest.fixture
def place(stack: Stack, tmp_path: Path) -> Iterator[ConsentPlace]:
    made = ConsentPlace.create(stack, tmp_path)
    yield made
    made.close()


@pytest.fixture
def begun() -> Iterator[list[Worker]]:
    """Processes that are ended whatever happens."""
    processes: list[Worker] = []
    yield processes
    for process in processes:
        process.kill()


def _publish(place: ConsentPlace, *, people: int, chance: random.Random) -> dict[str, list[Any]]:
    """Consents given, withdrawn and repeated; per person what was published, in order.

    By so many people of each group, so that each has something to do.
    """
    told: dict[str, list[Any]] = {}
    for pin in (pin for group in (0, 1) for pin in islice(place.pins_of(group), people)):
        ids = [place.give(pin) for _ in range(chance.randint(1, 3))]
        ended = [id_ for id_ in ids if chance.random() < 0.5]
        for id_ in ended:
            place.withdraw(pin, id_)
            if chance.random() < 0.5:
                place.give(pin, id_)
        told[pin] = [(id_, 2 if id_ in ended else 1) for id_ in ids]
    return told


def _check(place: ConsentPlace, told: dict[str, list[Any]]) -> None:
    history: dict[bytes, list[SubjectConsents]] = {}
    for _, key, state in place.states():
        history.setdefault(key, []).append(state)
    for pin, consents in told.items():
        states = history.pop(place.key(pin))
        assert [(c.id, c.version) for c in states[-1].consents] == consents
        for before, after in pairwise(states):
            assert before != after, "a state was written twice"
            for old, new in zip(before.consents, after.consents, strict=False):
                assert (old.id, old.version) <= (new.id, new.version), "a state went back"
    assert history == {}


@pytest.mark.parametrize("step", Step)
def test_no_event_is_lost_or_folded_twice_when_killed_after_a_step(
    place: ConsentPlace, begun: list[Worker], step: Step, rounds: Rounds
) -> None:
    chance = random.Random(f"{step}")  # noqa: S311
    told: dict[str, list[Any]] = {}
    for _ in rounds:
        told |= _publish(place, people=3, chance=chance)
        for group in (0, 1):
            process = place.start(group, step=step, signal_=signal.SIGKILL)
            begun.append(process)
            assert process.wait() == -signal.SIGKILL, process.log.read_text()
    with place.folding():
        wait_until(place.is_folded, what="both groups to fold all events")
    _check(place, told)


def test_zombie_is_fenced_and_revives_nothing_when_it_wakes_after_its_successor(
    place: ConsentPlace, begun: list[Worker]
) -> None:
    (pin,) = pins(1)
    id_ = place.give(pin)
    (partition, _, _, _), *_ = place.read(place.source.name)
    group = partition % 2
    zombie = place.start(group, step=Step.FLUSHED, signal_=signal.SIGSTOP)
    begun.append(zombie)
    wait_until(lambda: is_stopped(zombie.process.pid), what="the pause in its transaction")
    place.withdraw(pin, id_)
    successor = place.start(group)
    begun.append(successor)
    wait_until(place.is_folded, what="the successor to fold both events")
    wake(zombie.process.pid)
    assert zombie.wait() == EXIT_FENCED, zombie.log.read_text()
    (consent,) = place.newest()[place.key(pin)].consents
    assert (consent.status, consent.version) == (ConsentStatus.WITHDRAWN, 2)
    assert successor.process.poll() is None


def test_paused_process_loses_its_batch_when_its_transaction_times_out(
    place: ConsentPlace, begun: list[Worker]
) -> None:
    (pin,) = pins(1)
    place.give(pin)
    (partition, _, _, _), *_ = place.read(place.source.name)
    group = f"consent-{partition % 2}"
    sleeper = place.start(
        partition % 2, step=Step.OFFSETS_SENT, signal_=signal.SIGSTOP, supervised=False
    )
    begun.append(sleeper)
    wait_until(lambda: is_stopped(sleeper.process.pid), what="the pause in its transaction")
    assert place.committed(group, place.source.name) is None, "an offset is pending"
    wait_until(
        lambda: place.committed(group, place.source.name) is not None,
        what="the broker to abort the transaction",
    )
    assert (place.committed(group, place.source.name) or {})[partition] == 0
    wake(sleeper.process.pid)
    assert sleeper.wait() != 0, "what was aborted must not be taken for committed"
    assert place.states() == []
    with place.folding():
        wait_until(place.is_folded, what="the successor to fold the event")
    assert len(place.states()) == 1
