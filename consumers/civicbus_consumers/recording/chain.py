"""The chain of one recorder: what the next page's header says. Pure.

A recorder sends page n+1 only after it knows what became of page n; so `released` names one page
and stands for all before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from civicbus_audit.merkle import CompactRange, leaf_hash
from civicbus_schemas.ids import PolicyVersion, RecorderId
from civicbus_schemas.page import Page, PageHeader, PageRef, Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Where a recorder stands. `sequence` is the next page's; `closes` is the predecessor's end."""

    process: str
    recorder: RecorderId
    sequence: int = 0
    previous: str | None = None
    released: PageRef | None = None
    closes: PageRef | None = None

    def header(
        self,
        leaves: Sequence[bytes],
        *,
        policy: PolicyVersion | None,
        at: datetime,
        positions: tuple[Position, ...],
    ) -> PageHeader:
        """The header of the next page with these records."""
        return PageHeader(
            process=self.process,
            recorder=self.recorder,
            sequence=self.sequence,
            previous=self.previous,
            closes=self.closes if self.sequence == 0 else None,
            released=self.released,
            policy=policy,
            at=at,
            positions=positions,
            records=len(leaves),
            root=CompactRange().extended(map(leaf_hash, leaves)).root().hex(),
        )

    def after(self, page: Page) -> Self:
        """The chain once this page is durable."""
        return replace(self, sequence=self.sequence + 1, previous=page.hash)

    def successor(self, recorder: RecorderId) -> Self:
        """The chain of a recorder that closes this one at its last release."""
        return type(self)(
            process=self.process, recorder=recorder, closes=self.released or self.closes
        )

    def ref(self, page: Page) -> PageRef:
        """How later pages name this one, which must be the newest durable page."""
        return PageRef(recorder=self.recorder, sequence=self.sequence - 1, hash=page.hash)

    def after_release(self, page: Page) -> Self:
        """The chain once this page's transaction is committed."""
        return replace(self, released=self.ref(page))
