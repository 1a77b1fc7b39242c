"""What look-ups are decided on: the newest policy, compiled, and all consents, in memory."""

from __future__ import annotations

from collections.abc import Callable

from civicbus_schemas.consent import SubjectConsents
from civicbus_schemas.errors import Refused, Stopped
from civicbus_schemas.page import Position
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.topics import PARTITIONS, STATE_CONSENT, STATE_POLICY
from confluent_kafka import Message

from civicbus_consumers.lookup.plan import ReadPlan, compile_reads
from civicbus_consumers.recording.wiring import PROMPT_S
from civicbus_consumers.runtime.consents import ConsentStore
from civicbus_consumers.runtime.state import StateTail

STATE_PARTITIONS = ((STATE_POLICY, 0), *((STATE_CONSENT, p) for p in range(PARTITIONS)))
LOADING_S = 600.0


class States:
    """Follows `STATE_PARTITIONS`; `open_policy` opens announcements that can be trusted.

    The plan changes only inside `catch_up`, between batches.
    """

    def __init__(self, tail: StateTail, *, open_policy: Callable[[bytes], PolicySet]) -> None:
        self._tail, self._open_policy = tail, open_policy
        self._consents = ConsentStore()
        self._announced: bytes | None = None
        self._policy: PolicySet | None = None
        self._plan: ReadPlan | None = None

    def catch_up(self) -> tuple[Position, ...]:
        """Know every state committed before this call.

        Raises `Stopped` without a policy, or where a state topic holds what nobody may write there.
        The first call may take minutes, later ones give up before the waiting requests do.
        """
        timeout_s = LOADING_S if self._plan is None else PROMPT_S
        positions = self._tail.catch_up(self._apply, timeout_s=timeout_s)
        if self._announced is not None:
            self._policy = self._open_policy(self._announced)
            self._plan = _compiled(self._policy)
            self._announced = None
        if self._plan is None:
            raise Stopped("no policy set is announced", next_step="run `civicbus provision`")
        return positions

    @property
    def plan(self) -> ReadPlan:
        """The newest plan; raises `Stopped` before the first `catch_up`."""
        if self._plan is None:
            raise Stopped("the state topics have not been read yet")
        return self._plan

    @property
    def policy(self) -> PolicySet:
        """The set of the newest plan, from any thread; raises `Stopped` before the first."""
        if self._policy is None:
            raise Stopped("the state topics have not been read yet")
        return self._policy

    def consents_of(self, key: bytes) -> SubjectConsents:
        """All consents of the subject with this topic pseudonym."""
        return self._consents.get(key)

    def _apply(self, message: Message) -> None:
        key, value = message.key(), message.value()
        try:
            if message.topic() == STATE_POLICY and value is not None:
                self._announced = value
            elif isinstance(key, bytes):
                self._consents.put(key, value)
            else:
                raise Refused("a state without a key")
        except Refused as error:
            raise Stopped(
                "a state cannot be read",
                got=f"{message.topic()}[{message.partition()}]@{message.offset()}: {error.what}",
                next_step="find out who wrote it; only the consent processes may",
            ) from None


def _compiled(policy: PolicySet) -> ReadPlan:
    try:
        return compile_reads(policy)
    except Refused as error:
        raise Stopped(f"the announced policy set is refused: {error.what}") from None


def offset_of(positions: tuple[Position, ...], partition: int) -> int:
    """The position of one partition of the consent state."""
    place = STATE_CONSENT, partition
    return next(p.offset for p in positions if (p.topic, p.partition) == place)
