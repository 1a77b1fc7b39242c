"""Following a state topic: what arrives between two `catch_up` is seen, kept, and applied once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from civicbus_consumers.runtime.state import StateTail
from civicbus_schemas.errors import BusError, Fatal, InvalidBytes, Unavailable
from confluent_kafka import OFFSET_INVALID, KafkaError, TopicPartition


class OnePartition:
    """A state topic of one partition: consumer and admin client of the broker at once.

    Of what is written the last `withheld` messages have not arrived at the consumer yet.
    """

    def __init__(self) -> None:
        self.written = 0
        self.withheld = 0
        self.errors: deque[KafkaError] = deque()
        self.beside: deque[KafkaError] = deque()  # in one answer with messages
        self.silences: deque[int] = deque()  # what librdkafka answers for a silent leader
        self._read = 0

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        del partitions

    def position(self, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
        return [TopicPartition(p.topic, p.partition, self._read) for p in partitions]

    def consume(self, limit: int, *, timeout: float) -> list[Any]:
        if timeout:
            self.withheld = 0
        if self.errors:
            return [message(0, self.errors.popleft())]
        beside = [message(0, self.beside.popleft())] if self.beside else []
        found = range(self._read, self.written - self.withheld)[:limit]
        self._read += len(found)
        return beside + [message(offset, None) for offset in found]

    def list_offsets(self, partitions: dict[TopicPartition, Any], **_: Any) -> dict[Any, Any]:
        end: Future[Any] = Future()
        answer = self.silences.popleft() if self.silences else self.written
        end.set_result(SimpleNamespace(offset=answer))
        return dict.fromkeys(partitions, end)

    def list_topics(self, **_: Any) -> None:
        """Whoever leads is asked for anew."""


def message(offset: int, error: KafkaError | None) -> Any:
    return SimpleNamespace(error=lambda: error, offset=lambda: offset)


@pytest.fixture
def topic() -> OnePartition:
    return OnePartition()


@pytest.fixture
def tail(topic: OnePartition) -> StateTail:
    return StateTail(topic, topic, [("state.test.v1", 0)])  # type: ignore[arg-type]


def caught_up(tail: StateTail) -> list[int]:
    """The offsets that a `catch_up` applied."""
    applied: list[int] = []
    tail.catch_up(lambda m: applied.append(m.offset() or 0))
    return applied


def test_no_news_when_nothing_came_after_the_last_catching_up(
    tail: StateTail, topic: OnePartition
) -> None:
    topic.written = 3
    assert caught_up(tail) == [0, 1, 2]
    assert not tail.has_news()
    assert caught_up(tail) == []


def test_news_is_applied_once_and_in_order_when_it_was_seen_early(
    tail: StateTail, topic: OnePartition
) -> None:
    topic.written = 3
    assert [tail.has_news(), tail.has_news()] == [True, True]
    assert caught_up(tail) == [0, 1, 2]
    assert not tail.has_news()


def test_news_is_applied_when_all_of_it_was_seen_early(
    tail: StateTail, topic: OnePartition
) -> None:
    topic.written = 1
    assert tail.has_news()
    assert caught_up(tail) == [0], "the position stands behind it already"


def test_state_that_has_not_arrived_is_no_news_but_is_caught_up_with(
    tail: StateTail, topic: OnePartition
) -> None:
    topic.written = topic.withheld = 1
    assert not tail.has_news()
    assert caught_up(tail) == [0]


def test_catching_up_fails_when_what_was_seen_early_is_an_error(
    tail: StateTail, topic: OnePartition
) -> None:
    topic.written = 1
    topic.errors.append(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert tail.has_news(), "a batch ends early for it"
    with pytest.raises(BusError):
        caught_up(tail)


def test_catching_up_asks_once_more_when_the_leader_was_silent(
    tail: StateTail, topic: OnePartition
) -> None:
    topic.written = 2
    topic.silences.append(OFFSET_INVALID)
    assert caught_up(tail) == [0, 1]


def test_a_silent_leader_is_no_empty_topic_when_a_state_is_caught_up_with(
    tail: StateTail, topic: OnePartition
) -> None:
    topic.written = 2
    topic.silences.extend([OFFSET_INVALID, OFFSET_INVALID])
    with pytest.raises(Unavailable):
        caught_up(tail)


def test_states_beside_an_error_are_applied_before_it_is_raised(
    tail: StateTail, topic: OnePartition
) -> None:
    topic.written = 2
    assert tail.has_news()
    topic.beside.append(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    applied: list[int] = []
    with pytest.raises(BusError):
        tail.catch_up(lambda m: applied.append(m.offset() or 0))
    assert caught_up(tail) == []
    assert applied == [0, 1]


def test_tail_is_of_no_use_when_a_state_could_not_be_applied(
    tail: StateTail, topic: OnePartition
) -> None:
    topic.written = 1

    def apply(_: object) -> None:
        raise InvalidBytes("no state")

    with pytest.raises(InvalidBytes):
        tail.catch_up(apply)
    with pytest.raises(Fatal):
        caught_up(tail)
