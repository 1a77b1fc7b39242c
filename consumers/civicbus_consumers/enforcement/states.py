"""What enforcement decides on: the policy and the consents of its partitions, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from civicbus_schemas.consent import SubjectConsents
from civicbus_schemas.errors import InvalidBytes, Stopped
from civicbus_schemas.ids import AgreementRef, EventType
from civicbus_schemas.page import Position
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.topics import STATE_CONSENT, STATE_POLICY
from confluent_kafka import Message

from civicbus_consumers.access.plan import Plan
from civicbus_consumers.enforcement.endings import Ending, find_ended
from civicbus_consumers.runtime.consents import ConsentStore
from civicbus_consumers.runtime.state import StateTail


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyPlan:
    """A policy set compiled, with the registry ids of its delivered types."""

    policy: PolicySet
    plan: Plan
    schema_ids: Mapping[tuple[AgreementRef, EventType], int]


class States:
    """Follows the state topics; `prepare` makes the newest announcement ready for use.

    The plan changes only inside `catch_up`, that is between batches. `told` are the positions up to
    which a predecessor has told recipients of endings.
    """

    def __init__(
        self,
        tail: StateTail,
        *,
        prepare: Callable[[bytes], ReadyPlan],
        told: Iterable[Position] = (),
    ) -> None:
        self._tail, self._prepare = tail, prepare
        self._told = {p.partition: p.offset for p in told if p.topic == STATE_CONSENT}
        self.untold: list[Ending] = []
        self._consents = ConsentStore()
        self._read: dict[bytes, SubjectConsents] = {}  # since the last `catch_up`
        self._announced: bytes | None = None
        self._ready: ReadyPlan | None = None

    def catch_up(self) -> tuple[Position, ...]:
        """Know every state committed before this call; raises `Stopped` without a policy."""
        self._read.clear()
        positions = self._tail.catch_up(self._apply)
        if self._announced is not None:
            self._ready = self._prepare(self._announced)
            self._announced = None
        if self._ready is None:
            raise Stopped("no policy set is announced", next_step="run `civicbus provision`")
        return positions

    def has_news(self) -> bool:
        """Whether the newest states known here are newer than those of the last `catch_up`."""
        return self._tail.has_news()

    @property
    def ready(self) -> ReadyPlan:
        """The newest plan; raises `Stopped` before the first `catch_up`."""
        if self._ready is None:
            raise Stopped("the state topics have not been read yet")
        return self._ready

    def consents_of(self, key: bytes) -> SubjectConsents:
        """All consents of the subject with this topic pseudonym."""
        if key not in self._read:
            self._read[key] = self._consents.get(key)
        return self._read[key]

    def _apply(self, message: Message) -> None:
        topic, key, value = message.topic(), message.key(), message.value()
        if topic == STATE_POLICY and value is not None:
            self._announced = value
        elif topic == STATE_CONSENT and isinstance(key, bytes) and value is not None:
            self._put(key, value, partition=message.partition() or 0, offset=message.offset() or 0)
        else:
            raise InvalidBytes("a state message without key or value", got=topic)

    def _put(self, key: bytes, value: bytes, *, partition: int, offset: int) -> None:
        """Take a state; whether a consent has ended with it matters only while it is untold."""
        if offset < self._told.get(partition, 0):
            self._consents.put(key, value)
            return
        before = self._consents.get(key)
        self._consents.put(key, value)
        self.untold += (
            Ending(consent=consent, partition=partition, offset=offset)
            for consent in find_ended(before, self._consents.get(key))
        )


def offset_of(positions: tuple[Position, ...], topic: str, partition: int) -> int:
    """The position of one partition."""
    return next(p.offset for p in positions if (p.topic, p.partition) == (topic, partition))
