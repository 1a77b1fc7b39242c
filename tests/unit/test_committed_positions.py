"""A position that could not be read is an error, and never the beginning."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from civicbus_consumers.enforcement.broker import find_note, find_positions
from civicbus_consumers.population import positions, reading
from civicbus_consumers.population.positions import align_positions
from civicbus_consumers.runtime.sources import assign_committed
from civicbus_schemas.errors import BusError, Unavailable
from civicbus_schemas.ids import Pin
from civicbus_schemas.page import Position
from confluent_kafka import OFFSET_INVALID, KafkaError, TopicPartition

TOPIC = "state.test.v1"
STATE = [Position(topic=TOPIC, partition=0, offset=0)]


class FakeBroker:
    """A consumer whose broker answers each place, or an error beside it while it fails."""

    def __init__(self) -> None:
        self.read_fails = self.commit_fails = False
        self.committed_to: list[int] = []

    def committed(self, places: Sequence[TopicPartition], timeout: float) -> list[Any]:
        del timeout
        return [_answer(place, OFFSET_INVALID, failed=self.read_fails) for place in places]

    def commit(self, *, offsets: Sequence[TopicPartition], asynchronous: bool) -> list[Any]:
        del asynchronous
        self.committed_to += [place.offset for place in offsets]
        return [_answer(place, place.offset, failed=self.commit_fails) for place in offsets]

    def list_topics(self, topic: str, timeout: float) -> Any:
        del timeout
        found = SimpleNamespace(error=None, partitions={0: None})
        return SimpleNamespace(topics={topic: found})

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        del place, timeout
        return 0, 9

    def close(self) -> None:
        """Nothing is open."""


def _answer(place: TopicPartition, offset: int, *, failed: bool) -> Any:
    error = KafkaError(KafkaError.NOT_COORDINATOR) if failed else None
    return SimpleNamespace(
        topic=place.topic, partition=place.partition, offset=offset, metadata="", error=error
    )


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> FakeBroker:
    made = FakeBroker()
    monkeypatch.setattr(positions, "Consumer", lambda _: made)
    monkeypatch.setattr(positions, "consumer_config", lambda *_, **__: {})
    return made


def align() -> None:
    """The view stands at 7; the group never committed anything."""
    stop = threading.Event()
    stop.set()
    settings: Any = SimpleNamespace(name="view", group="npd.view", topics=[TOPIC])
    align_positions(settings, {(TOPIC, 0): 7}, stop=stop)


@pytest.mark.parametrize(
    "read",
    [
        lambda consumer: find_positions(consumer, STATE),
        lambda consumer: find_note(consumer, STATE),
        lambda consumer: assign_committed(consumer, [(TOPIC, 0)]),
        lambda _: align(),
    ],
    ids=["state", "note", "sources", "view"],
)
def test_a_place_that_failed_is_no_fresh_start_when_positions_are_read(
    broker: FakeBroker, read: Callable[[Any], object]
) -> None:
    broker.read_fails = True
    with pytest.raises(Unavailable):
        read(broker)
    assert broker.committed_to == []


def test_a_view_does_not_go_on_when_its_group_was_not_moved_back(broker: FakeBroker) -> None:
    align()
    assert broker.committed_to == [7]
    broker.commit_fails = True
    with pytest.raises(BusError):
        align()


def test_nobody_is_unknown_when_the_view_has_no_state() -> None:
    empty: Any = SimpleNamespace(execute=lambda *_: SimpleNamespace(fetchall=list))
    connection: Any = SimpleNamespace(cursor=lambda **_: empty)
    with pytest.raises(Unavailable, match="no state"):
        reading.read_persons(connection, [Pin("001190012345")])
