"""The fence of a consent event: the point after which it binds everywhere (DESIGN section 3).

Reads committed positions only; a group that is dead or paused delays a fence, and never passes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from civicbus_producers.ends import read_high_watermarks
from civicbus_producers.kafka import BrokerAccess, client_config
from civicbus_producers.positions import GroupPositions
from civicbus_schemas.errors import Overdue, Retryable
from civicbus_schemas.topics import (
    GROUPS,
    STATE_CONSENT,
    STATE_POLICY,
    consent_group,
    enforcement_group,
)
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from civicbus_consumers.consent.rules import is_binding, is_folded

_REQUEST_S = 1.0
_PAUSE_S = 0.01


class Holder(Protocol):
    """Something else than enforcement that decides on state: the leases of look-ups."""

    def position(self, topic: str, partition: int) -> int:
        """The lowest position there of a state topic that a decision in flight may rest on.

        Beyond any end when none is in flight.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A fence that has passed: whoever decides about this partition of the state stands at
    `position` or past it, and so knows the event. `seconds` is how long the fence took.
    """

    partition: int
    position: int
    seconds: float


class Fence:
    """Waits for fences. `holders` decide on the same state besides the enforcement groups.

    The principal behind `access` may describe the groups and the state topic.
    """

    def __init__(
        self,
        access: BrokerAccess,
        *,
        groups: int = GROUPS,
        state: str = STATE_CONSENT,
        holders: Sequence[Holder] = (),
    ) -> None:
        self._access, self._groups, self._state, self._holders = access, groups, state, holders
        self._admin = AdminClient(client_config(access, client_id="fence"))
        self._positions: dict[str, GroupPositions] = {}

    def wait(self, topic: str, partition: int, offset: int, *, timeout_s: float) -> Passed:
        """Return when the consent event at these coordinates binds, and from where on.

        1. Its folder's stable committed position exceeds the offset. 2. Read the end of the state
        partition: the high watermark, for the last stable offset may still lie before the state.
        3. The stable committed position of the enforcement group reaches that end; so does every
        holder. Raises `Overdue` after `timeout_s`: then the event may bind later, or already.
        """
        begun = time.monotonic()
        deadline = begun + timeout_s
        group = partition % self._groups
        folder, enforcer = consent_group(group), enforcement_group(group)
        source = TopicPartition(topic, partition)
        state = TopicPartition(self._state, partition)
        _until(
            lambda: is_folded(self._position(folder, source), offset),
            deadline,
            waiting_for=f"{folder} to fold the event",
        )  # 1
        end = self._end(state, deadline)  # 2
        lookups = [partial(holder.position, self._state, partition) for holder in self._holders]
        for name, position in (  # 3
            (
                f"{enforcer} to reach {end} in {state.topic}",
                partial(self._position, enforcer, state),
            ),
            *(("look-ups in flight", lookup) for lookup in lookups),
        ):
            _until(partial(_has_reached, position, end), deadline, waiting_for=name)
        return Passed(partition=partition, position=end, seconds=time.monotonic() - begun)

    def wait_policy(self, offset: int, *, timeout_s: float) -> float:
        """Return when the policy announced at this offset binds everywhere; the seconds it took.

        Every enforcement group and every holder then decides on it, or on a newer one. Raises
        `Overdue` as `wait` does.
        """
        begun = time.monotonic()
        place = TopicPartition(STATE_POLICY, 0)
        enforcers = [enforcement_group(group) for group in range(self._groups)]
        waiting = [
            *((name, partial(self._position, name, place)) for name in enforcers),
            *(("look-ups in flight", partial(h.position, STATE_POLICY, 0)) for h in self._holders),
        ]
        while waiting := [
            (name, position)
            for name, position in waiting
            if not _is_so(partial(_has_reached, position, offset + 1))
        ]:  # all are asked, so that an error names all who are late
            late = ", ".join(name for name, _ in waiting)
            _pause(begun + timeout_s, waiting_for=f"{late} to go by policy {offset}")
        return time.monotonic() - begun

    def close(self) -> None:
        """Close its connections."""
        for positions in self._positions.values():
            positions.close()
        self._positions.clear()

    def _position(self, group: str, place: TopicPartition) -> int:
        """The group's stable committed position; -1 when it has none."""
        if group not in self._positions:
            self._positions[group] = GroupPositions(self._access, group, client_id="fence")
        where = (place.topic, place.partition)
        return self._positions[group].read([where], timeout_s=_REQUEST_S).get(where, -1)

    def _end(self, state: TopicPartition, deadline: float) -> int:
        place = (state.topic, state.partition)
        found: dict[tuple[str, int], int] = {}

        def ask() -> bool:
            found.update(read_high_watermarks(self._admin, [place], timeout_s=_REQUEST_S))
            return True

        _until(ask, deadline, waiting_for="the end of the consent state")
        return found[place]


def _until(holds: Callable[[], bool], deadline: float, *, waiting_for: str) -> None:
    while not _is_so(holds):
        _pause(deadline, waiting_for=waiting_for)


def _is_so(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except Retryable:
        return False  # the broker may answer the next time


def _pause(deadline: float, *, waiting_for: str) -> None:
    if time.monotonic() > deadline:
        raise Overdue("a fence has not passed in time", got=f"waiting for {waiting_for}")
    time.sleep(_PAUSE_S)


def _has_reached(position: Callable[[], int], end: int) -> bool:
    return is_binding(position(), end)
