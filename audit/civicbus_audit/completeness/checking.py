"""Holding index commits against the leaves that they cover. Pure, given the leaves.

The sequencer makes commits, and everybody who has the leaves makes them again: `verify`, a mirror
before it cosigns, and whoever proves an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from civicbus_schemas.errors import EvidenceBroken, InvalidBytes

from civicbus_audit.completeness.commit import INDEX_COMMIT, IndexCommit, Tally
from civicbus_audit.stored import StoredLog


class CommitsChecked:
    """The leaves seen so far, of which every commit is the one that they make.

    They begin with leaf 0, with the commit that a pruned log begins with, or with the open range
    behind commits that were checked before.
    """

    def __init__(self, tally: Tally | None = None) -> None:
        self.tally = tally or Tally(0)

    @classmethod
    def beginning(cls, log: StoredLog) -> CommitsChecked:
        """Before the first leaf of a log; of a pruned one, behind it: what it covered is gone."""
        tally = Tally(log.first)
        if log.first:
            tally.add(log.leaf(log.first))
        return cls(tally)

    @property
    def size(self) -> int:
        """The number of the next leaf."""
        return self.tally.end

    def see(self, leaf: bytes) -> tuple[IndexCommit, Tally] | None:
        """Takes in the next leaf; a commit is given with what it covers.

        Raises `EvidenceBroken` if it is another than the leaves make.
        """
        closed = None
        if INDEX_COMMIT.wrote(leaf):
            closed = check_commit(leaf, self.tally), self.tally
            self.tally = Tally(self.size)
        self.tally.add(leaf)
        return closed

    def see_all(self, leaves: Sequence[bytes]) -> None:
        """The same for the next leaves, in less time than one by one."""
        start = 0
        for place, leaf in enumerate(leaves):
            if INDEX_COMMIT.wrote(leaf):
                self.tally.extend(leaves[start:place])
                check_commit(leaf, self.tally)
                self.tally, start = Tally(self.size), place
        self.tally.extend(leaves[start:])


def check_commits(leaves: Iterable[bytes]) -> Iterator[tuple[IndexCommit, Tally]]:
    """Every commit with what it covers, of a log's leaves from the first."""
    checked = CommitsChecked()
    for leaf in leaves:
        if closed := checked.see(leaf):
            yield closed


def check_commit(leaf: bytes, tally: Tally) -> IndexCommit:
    """The commit of a leaf that stands behind these leaves.

    Raises `EvidenceBroken` if it is another than they make.
    """
    place = f"the index commit in leaf {tally.end}"
    try:
        commit = IndexCommit.decode(leaf)
    except InvalidBytes:
        raise EvidenceBroken(f"{place} cannot be read") from None
    if tally.first == tally.end:
        raise EvidenceBroken(f"{place} covers nothing")
    expected = tally.commit(commit.at)
    if commit != expected:
        differs = next(
            name
            for name in ("first", "end", "earliest", "latest", "unreadable", "head")
            if getattr(commit, name) != getattr(expected, name)
        )
        raise EvidenceBroken(
            f"{place} is not the one that leaves {tally.first} to {tally.end - 1} make",
            got=f"another {differs}",
            next_step="believe no proof of completeness that rests on it; find out who wrote it",
        )
    return commit
