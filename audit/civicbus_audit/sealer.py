"""Sealing: pages of the page topic into the ledger, each exactly once.

The caller reads the topic from `position` on and hands over what it got; it commits no offsets,
since the ledger's own state is the only truth about them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from civicbus_schemas.errors import Stopped
from civicbus_schemas.ids import RecorderId, RecordId
from civicbus_schemas.page import HEADER_LEAF, HeaderLeaf

from civicbus_audit.checkpoint import Checkpoint
from civicbus_audit.committing import EVERY, Committing
from civicbus_audit.ledger import Ledger
from civicbus_audit.memory import Memory
from civicbus_audit.notice import NOTICE, Finding, Notice
from civicbus_audit.sequencing import Keys, PageMessage, Sequenced, sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What one call of `Sealer.seal` did.

    `skew_s` is by how much the broker's time and a page's own differed at most; positive where the
    page claims to be older than the broker saw it.
    """

    checkpoint: Checkpoint
    pages: int
    leaves: int
    duplicates: int
    findings: Counter[Finding]
    skew_s: float = 0.0


class Sealer:
    """Sequences pages and appends them; the only writer of its ledger."""

    def __init__(self, ledger: Ledger, *, keys: Keys, commit_every: timedelta = EVERY) -> None:
        """Reads the leaves since the newest index commit."""
        self._ledger, self._keys = ledger, keys
        memory = Memory.from_json(ledger.memory)
        self._chains = memory.chains
        self._committing = Committing(ledger.log(), memory.committed, every=commit_every)
        self._seen = SealedPages(ledger)

    @property
    def position(self) -> int:
        """The next offset of the page topic to hand over."""
        return self._ledger.position

    @property
    def checkpoint(self) -> Checkpoint:
        """The newest published checkpoint."""
        return self._ledger.checkpoint

    def seal(self, messages: Sequence[PageMessage]) -> Sealed:
        """Seals consecutive messages under one checkpoint; all or none.

        Messages from before `position` were sealed already and are passed over. A missing offset
        raises `Stopped`: pages were deleted before they were sealed. After any error make a new
        sealer on a ledger opened anew.
        """
        chains, position = self._chains, self.position
        done = list[Sequenced]()
        for message in messages:
            if message.offset < self.position:
                continue
            if message.offset != position:
                raise Stopped(
                    "pages are missing from the page topic",
                    got=f"offset {message.offset}",
                    expected=f"offset {position}",
                    next_step="find out who deleted them before going on",
                )
            step = sequence(message, chains, keys=self._keys, seen=self._seen)
            step = self._committing.with_commit(step, at=message.at)
            chains, position = step.chains, message.offset + 1
            self._seen.expect(step.leaves)
            done.append(step)
        leaves = [leaf for step in done for leaf in step.leaves]
        checkpoint = self._ledger.append(
            leaves,
            [part for step in done for part in step.sealed],
            position=position,
            memory=Memory(chains=chains, committed=self._committing.committed).to_json(),
            quarantine={name: data for step in done for name, data in step.quarantine.items()},
        )
        self._chains = chains
        self._seen.forget_expected()
        return Sealed(
            checkpoint=checkpoint,
            pages=len(done),
            leaves=len(leaves),
            duplicates=sum(step.duplicate for step in done),
            findings=Counter(step.finding for step in done if step.finding),
            skew_s=_skew_s(messages, done),
        )


def _skew_s(messages: Sequence[PageMessage], done: Sequence[Sequenced]) -> float:
    pages = zip(messages[len(messages) - len(done) :], done, strict=True)
    skews = (
        (message.at - step.page.header.at).total_seconds()
        for message, step in pages
        if step.page is not None and not step.duplicate
    )
    return max(skews, key=abs, default=0.0)


class SealedPages:
    """The pages and notices of a ledger (`sequencing.Seen`), read from it at the first question.

    Questions are rare (only pages out of turn raise them) and an answer takes a pass over all
    leaves, so what was read once is kept and added to.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._pending, self._entered = list[bytes](), 0
        self._pages: dict[tuple[RecorderId, int], set[str]] = {}
        self._notices = set[RecordId]()
        self._read_until = 0

    def pages(self, recorder: RecorderId, sequence: int) -> frozenset[str]:
        """The hashes of the pages of that recorder with that sequence."""
        self._catch_up()
        return frozenset(self._pages.get((recorder, sequence), ()))

    def notice(self, id_: RecordId) -> bool:
        """Whether there is a notice with this id."""
        self._catch_up()
        return id_ in self._notices

    def expect(self, leaves: Sequence[bytes]) -> None:
        """Takes note of leaves that the next append brings."""
        self._pending += leaves

    def forget_expected(self) -> None:
        """They are in the ledger now, where they are read when needed."""
        self._pending.clear()
        self._entered = 0

    def _catch_up(self) -> None:
        log = self._ledger.log()
        for _, leaf in log.leaves(max(self._read_until, log.first)):
            self._enter(leaf)
        self._read_until = log.size
        for leaf in self._pending[self._entered :]:
            self._enter(leaf)
        self._entered = len(self._pending)

    def _enter(self, leaf: bytes) -> None:
        if HEADER_LEAF.wrote(leaf):
            header = HeaderLeaf.decode(leaf).header
            hashes = self._pages.setdefault((header.recorder, header.sequence), set())
            hashes.add(hashlib.sha256(leaf).hexdigest())
        elif NOTICE.wrote(leaf):
            self._notices.add(Notice.decode(leaf).id)
