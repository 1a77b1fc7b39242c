"""When the sequencer writes an index commit, and which; what of it a restart must know.

Log time alone says when: the broker's time of a page, never the clock of this machine, so that the
same pages become the same leaves again. The leaves of the open range are read from the bundles when
sealing begins; at most `MAX_LEAVES` of them, which takes a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from civicbus_audit.completeness.commit import INDEX_COMMIT, IndexCommit, Tally
from civicbus_audit.sequencing import Sequenced
from civicbus_audit.stored import StoredLog

EVERY = timedelta(hours=1)
MAX_LEAVES = 1 << 17  # all of them about different people: 0.7 s to close
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The place of the newest commit, and the beginning of the period of log time behind it.

    Before the first commit: leaf 0, and the period of the first page; None before that came.
    """

    first: int = 0
    period: datetime | None = None

    def after(self, index: int, leaf: bytes) -> Committed:
        """The same behind one more leaf."""
        if not INDEX_COMMIT.wrote(leaf):
            return self
        return Committed(first=index, period=IndexCommit.decode(leaf).at)

    def to_json(self) -> dict[str, Any]:
        """As the ledger's state keeps it."""
        return {"first": self.first, "period": self.period and self.period.isoformat()}

    @classmethod
    def from_json(cls, memory: Mapping[str, Any]) -> Committed:
        """What `to_json` wrote."""
        period = memory["period"]
        return cls(first=memory["first"], period=period and datetime.fromisoformat(period))


class Committing:
    """The open range of a ledger, and the commits that close it."""

    def __init__(self, log: StoredLog, committed: Committed, *, every: timedelta = EVERY) -> None:
        """Reads the leaves of the open range."""
        self.committed, self._every = committed, every
        self._tally = Tally(committed.first)
        for _, leaf in log.leaves(committed.first):
            self._tally.add(leaf)

    def with_commit(self, step: Sequenced, *, at: datetime) -> Sequenced:
        """What a message of this log time becomes, behind a commit if one is due.

        One is due before the first leaf of another period (also of an earlier one: a broker's clock
        that was wrong must not stop commits for as long as it was wrong), and before the range
        grows beyond `MAX_LEAVES`. A message that becomes no leaf closes nothing, so that pages that
        are read again change nothing.
        """
        period = at - (at - _EPOCH) % self._every
        if self.committed.period is None:
            self.committed = replace(self.committed, period=period)
        if not step.leaves:
            return step
        if self._is_due(period):
            step = self._close(step, period)
        self._tally.extend(step.leaves)
        return step

    def _is_due(self, period: datetime) -> bool:
        length = self._tally.end - self._tally.first
        return length > 0 and (period != self.committed.period or length >= MAX_LEAVES)

    def _close(self, step: Sequenced, period: datetime) -> Sequenced:
        leaf = self._tally.commit(period).encode()
        self._tally = Tally(self._tally.end)
        self.committed = Committed(first=self._tally.first, period=period)
        return replace(step, leaves=(leaf, *step.leaves), sealed=(b"", *step.sealed))
