"""Between the worker that answers and the loop that serves: who waits, and what is on its way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from civicbus_schemas.page import Position

from civicbus_consumers.lookup.bench import Lookup
from civicbus_consumers.lookup.problems import Problem
from civicbus_consumers.lookup.replies import Reply


class HeldLease(Protocol):
    """A lease (`leases.Lease`): `holds` may be asked from any thread, the rest by the worker."""

    def holds(self) -> bool:
        """Whether an answer may leave now."""
        ...

    def renew(self, positions: Sequence[Position]) -> None:
        """Hold it longer; no answer on its way rests on older state. Raises `LeaseLost`."""
        ...

    def give_back(self) -> None:
        """End it now; nothing is on its way."""
        ...


class Flight:
    """The answers of one batch on their way out, and the lease that they rest on."""

    def __init__(self, lease: HeldLease, answers: int) -> None:
        self._lease, self._open, self._lost = lease, answers, False
        self._changed = threading.Condition()

    def may_leave(self) -> bool:
        """Whether an answer may be handed to its socket now."""
        return self._lease.holds()

    def settle(self, *, left: bool) -> None:
        """One answer has left, or never will."""
        with self._changed:
            self._open -= 1
            self._lost = self._lost or not left
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Whether all are settled, within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open <= 0, timeout_s)

    @property
    def complete(self) -> bool:
        """Whether every answer has left."""
        with self._changed:
            return self._open <= 0 and not self._lost


@dataclass(frozen=True, slots=True)
class Departure:
    """A recorded reply that may leave if its flight says so; then it must be settled."""

    reply: Reply
    flight: Flight


@dataclass(frozen=True, slots=True)
class Waiting:
    """A look-up and the future of the request that brought it; made in the serving loop."""

    lookup: Lookup
    future: asyncio.Future[Departure] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def hand_over(self, departure: Departure) -> None:
        """Give the reply to the request; if nobody waits any more it is settled as not left."""
        if not self._in_loop(departure):
            departure.flight.settle(left=False)

    def refuse(self, problem: Problem) -> None:
        """Tell the request why there is no reply."""
        self._in_loop(problem)

    def _in_loop(self, outcome: Departure | Problem) -> bool:
        try:
            self.future.get_loop().call_soon_threadsafe(self._resolve, outcome)
        except RuntimeError:  # the loop is closed: the server has ended
            return False
        return True

    def _resolve(self, outcome: Departure | Problem) -> None:
        match outcome:
            case Departure() if self.future.done():
                outcome.flight.settle(left=False)
            case Departure():
                self.future.set_result(outcome)
            case Problem() if not self.future.done():
                self.future.set_exception(outcome)
