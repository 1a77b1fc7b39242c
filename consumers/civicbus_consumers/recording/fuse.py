"""The fuse: where the ledger does not take the pages, nothing more is recorded, and so released.

Sealing says on its committed position up to which time everything is in the ledger, and says it
again while there is nothing to do. Whoever records looks at that, and stops once it is too old: a
silent sealer, a dead one, and one that cannot keep up look the same, and are treated alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from civicbus_producers.kafka import BrokerAccess
from civicbus_producers.positions import GroupPositions
from civicbus_schemas.errors import Retryable, Unavailable
from civicbus_schemas.topics import AUDIT_PAGE, SEALING

LOOK_S = 2.0
_LOOK_TIMEOUT_S = 2.0
_PREFIX = "sealed-until="


class SealingBehind(Unavailable):
    """What is recorded now would not come into the ledger in time."""


class Fuse(Protocol):
    """Whether something may be recorded now."""

    def check(self) -> None:
        """Return if so; else raise `SealingBehind`."""
        ...


class Unwatched:
    """No fuse: for a process whose acts do not wait for the ledger."""

    def check(self) -> None:
        """Always so."""


class SealingFuse:
    """Blows when `sealed_until` is older than `limit_s` seconds, or as far in the future.

    It looks at most every two seconds. A look that fails changes nothing: what was known before
    grows old. Before anything is known, it is blown.
    """

    def __init__(
        self,
        look: Callable[[], datetime | None],
        *,
        limit_s: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        elapsed_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look, self._limit_s = look, limit_s
        self._now, self._elapsed_s = now, elapsed_s
        self._looked_at = float("-inf")
        self._until: datetime | None = None

    def check(self) -> None:
        """See `Fuse`."""
        if self._elapsed_s() - self._looked_at >= LOOK_S:
            with suppress(Retryable):  # what was known grows old
                self._until = self._look() or self._until
            self._looked_at = self._elapsed_s()
        age_s = None if self._until is None else (self._now() - self._until).total_seconds()
        if age_s is None or abs(age_s) > self._limit_s:
            raise SealingBehind(
                "pages are not sealed, so nothing is released",
                got="sealing has said nothing yet" if age_s is None else f"{age_s:.0f} s ago",
                expected=f"all sealed up to {self._limit_s:.0f} s ago, by sealing and this clock",
                next_step="look at the sealing process, its disk and its witnesses",
            )


def sealing_fuse(access: BrokerAccess, *, limit_s: float, client_id: str) -> SealingFuse:
    """The fuse on the broker. Its principal may describe the group and the topic of sealing."""
    positions = GroupPositions(access, SEALING, client_id=f"{client_id}-fuse")

    def look() -> datetime | None:
        place = (AUDIT_PAGE, 0)
        return parse_level(positions.notes([place], timeout_s=_LOOK_TIMEOUT_S).get(place, ""))

    return SealingFuse(look, limit_s=limit_s)


def level_note(until: datetime) -> str:
    """What sealing leaves beside its position: everything up to this time is in the ledger."""
    return f"{_PREFIX}{until.astimezone(UTC).isoformat()}"


def parse_level(note: str) -> datetime | None:
    """The time in a note; None if it says none."""
    if not note.startswith(_PREFIX):
        return None
    try:
        until = datetime.fromisoformat(note.removeprefix(_PREFIX))
    except ValueError:
        return None
    return until if until.tzinfo is not None else None
