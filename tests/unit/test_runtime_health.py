"""What a process says of itself while one of its loops hangs or has trouble."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from civicbus_consumers.population import worker
from civicbus_consumers.runtime.health import Health
from civicbus_producers import ends
from civicbus_producers import positions as groups
from civicbus_producers.ends import read_stable_ends
from civicbus_producers.positions import list_groups
from civicbus_schemas.errors import Overdue
from confluent_kafka import TopicPartition


def answers(health: Health) -> tuple[int, str]:
    status, _, body = health.answer("/readyz")
    return status, body.decode().strip()


def test_a_process_is_not_ready_any_more_when_its_loop_has_been_silent() -> None:
    health = Health(silence_s=0.0)
    health.ready()
    assert answers(health) == (503, "silent")


def test_a_process_says_why_it_is_not_ready_when_it_is_silent_too() -> None:
    health = Health(silence_s=0.0)
    health.unready("no lease")
    assert answers(health) == (503, "no lease")


def test_a_process_is_ready_when_every_loop_of_it_is() -> None:
    health = Health()
    other = health.beside()
    health.ready()
    assert answers(health) == (503, "starting")
    other.ready()
    assert answers(health) == (200, "ready")
    other.unready("not published")
    health.ready()
    assert answers(health) == (503, "not published"), "no loop speaks for another"


@dataclass
class OneBatch:
    """An app of Faust whose batch is under way, or not, until it was asked three times."""

    applying: bool
    stop_asked: threading.Event = field(default_factory=threading.Event)
    failure: asyncio.Future[None] = field(default_factory=asyncio.Future)
    crashed: bool = False
    asked: int = 0

    @property
    def consumer(self) -> Any:
        self.asked += 1
        if self.asked == 3:
            self.stop_asked.set()
        return SimpleNamespace(assignment=lambda: {("topic", 0)})

    async def start(self) -> None:
        """Nothing to begin."""

    stop = start


class CountingHealth(Health):
    """Counts the beats."""

    beats = 0

    def beat(self) -> None:
        super().beat()
        self.beats += 1


@pytest.mark.parametrize(("applying", "beats"), [(False, 3), (True, 0)])
def test_a_view_beats_no_more_when_its_batch_does_not_end(
    monkeypatch: pytest.MonkeyPatch, *, applying: bool, beats: int
) -> None:
    monkeypatch.setattr(worker, "_POLL_S", 0)
    health = CountingHealth()

    async def run() -> None:
        app: Any = OneBatch(applying)
        await worker.serve(app, health=health, stop=app.stop_asked)

    asyncio.run(run())
    assert health.beats == beats


def test_asking_is_overdue_when_the_client_settles_no_future(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ends, "GRACE_S", 0.0)
    monkeypatch.setattr(groups, "GRACE_S", 0.0)
    place = ("state.test.v1", 0)
    hung: Any = SimpleNamespace(
        list_offsets=lambda *_, **__: {TopicPartition(*place): Future()},
        list_consumer_groups=lambda **_: Future(),
    )
    with pytest.raises(Overdue):
        read_stable_ends(hung, [place], timeout_s=0.01)
    with pytest.raises(Overdue):
        list_groups(hung, timeout_s=0.01)
