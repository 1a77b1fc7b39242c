"""Making a proof of completeness from a ledger: one pass over its bundles, no index asked.

A commit that the leaves do not make ends it: nothing is proved from a ledger that contradicts
itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import RecordKind

from civicbus_audit.completeness.asked import Asked
from civicbus_audit.completeness.checking import CommitsChecked
from civicbus_audit.completeness.commit import IndexCommit, Tally
from civicbus_audit.completeness.document import Answers, Document
from civicbus_audit.completeness.filing import Name
from civicbus_audit.multiproof import multiproof
from civicbus_audit.pruning import find_leaf_that_pruned
from civicbus_audit.stored import Progress, StoredLog
from civicbus_audit.tiles import WIDTH

_CASE_CLOSED = RecordKind.CASE_CLOSED.encode()


def prove_complete(
    log: StoredLog,
    checkpoint: bytes,
    asked: Asked,
    *,
    on_progress: Progress | None = None,
) -> Document:
    """The proof under this log's checkpoint; raises `EvidenceBroken` if its commits do not hold."""
    gathered, checked = _Gathered(asked), CommitsChecked.beginning(log)
    for _, leaf in log.leaves(checked.size):
        gathered.see(leaf)
        if closed := checked.see(leaf):
            gathered.close(*closed)
        if on_progress and (checked.size % WIDTH == 0 or checked.size == log.size):
            on_progress(checked.size)
    named = _filed(checked.tally, asked.names)
    gathered.leaves |= {at for at in named if asked.is_about(log.leaf(at))}
    hidden = None
    if asked.as_citizen:
        deferred = {*gathered.deferred, *_filed(checked.tally, asked.deferred)}
        shown = {at for at in deferred if gathered.may_be_known(log.leaf(at))}
        gathered.leaves |= {at for at in shown if asked.is_about(log.leaf(at))}
        hidden = sum(_may_disclose(log.leaf(at)) for at in deferred - shown)
    pruned = find_leaf_that_pruned(log) if log.first else None
    if pruned is not None:
        gathered.leaves.add(pruned)
    indices = sorted(gathered.leaves)
    return Document(
        asked=asked,
        hidden=hidden,
        checkpoint=checkpoint,
        leaves=tuple((index, log.leaf(index)) for index in indices),
        proof=tuple(multiproof(indices, log.size, log.node)),
        answers=tuple(gathered.answers),
        pruned=pruned,
    )


@dataclass(slots=True)
class _Gathered:
    """What one pass gathers: commits and what they name, and what is needed of investigations."""

    asked: Asked
    answers: list[Answers] = field(default_factory=list)
    leaves: set[int] = field(default_factory=set)
    deferred: set[int] = field(default_factory=set)
    closed_cases: set[str] = field(default_factory=set)

    def see(self, leaf: bytes) -> None:
        """Takes note of a case that was closed."""
        if self.asked.as_citizen and _CASE_CLOSED in leaf:
            for record in _readable(leaf):
                if record.kind is RecordKind.CASE_CLOSED and record.req and record.req.case:
                    self.closed_cases.add(record.req.case)

    def close(self, commit: IndexCommit, tally: Tally) -> None:
        """Takes a commit, and its answers where it overlaps the period."""
        self.leaves.add(commit.end)
        if self.asked.as_citizen:
            self.deferred |= {*_filed(tally, self.asked.deferred)}
        if commit.overlaps(self.asked.since, self.asked.until):
            names = self.asked.names
            tree = tally.tree()
            salts = tuple(tree.salts[by] for by in self.asked.sorts)
            filed = tuple(tree.answer(name.key) for name in names)
            self.answers.append(Answers(salts=salts, filed=filed))
            self.leaves |= {*_filed(tally, names)}

    def may_be_known(self, leaf: bytes) -> bool:
        """Whether the citizen may see a deferred reading: its case is closed."""
        return any(r.req and r.req.case in self.closed_cases for r in _readable(leaf))


def _filed(tally: Tally, names: Iterable[Name]) -> Iterator[int]:
    for name in names:
        yield from tally.leaves_under(name)


def _may_disclose(leaf: bytes) -> bool:
    """Whether a hidden leaf counts: all that disclosed, and what nobody can read to its end."""
    return all(record.decision.discloses for record in _readable(leaf))


def _readable(leaf: bytes) -> Iterator[Record]:
    try:
        record = Record.decode(leaf)
    except InvalidBytes:
        return
    yield record
