"""Fakes of what look-ups stand on: states, view, page log, leases; with fault switches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from civicbus_consumers.lookup.leases import LEASE_S, MARGIN_S, LeaseLost
from civicbus_consumers.lookup.plan import ReadPlan
from civicbus_consumers.population.reading import PersonRow, Snapshot
from civicbus_consumers.recording.fuse import SealingBehind
from civicbus_schemas.consent import NO_CONSENTS, SubjectConsents
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.ids import Pin
from civicbus_schemas.page import Page, PageRef, Position
from civicbus_schemas.topics import PARTITIONS, STATE_CONSENT, STATE_POLICY


@dataclass
class FakeStates:
    """States that are always caught up; `raises` is raised instead. `offset` is every position."""

    plan: ReadPlan
    consents: dict[bytes, SubjectConsents] = field(default_factory=dict)
    raises: Exception | None = None
    offset: int = 10
    caught_up: int = 0

    def catch_up(self) -> tuple[Position, ...]:
        """All positions at the offset."""
        if self.raises:
            raise self.raises
        self.caught_up += 1
        consents = [
            Position(topic=STATE_CONSENT, partition=p, offset=self.offset)
            for p in range(PARTITIONS)
        ]
        return (Position(topic=STATE_POLICY, partition=0, offset=1), *consents)

    def consents_of(self, key: bytes) -> SubjectConsents:
        """The consents that were set for a key."""
        return self.consents.get(key, NO_CONSENTS)


@dataclass
class FakeView:
    """Persons in memory. `fails`: does not answer."""

    persons: dict[Pin, PersonRow] = field(default_factory=dict)
    fails: bool = False

    def read(self, pins: Sequence[Pin]) -> Snapshot:
        """The persons who are known, as of batch 41."""
        if self.fails:
            raise Unavailable("the view does not answer")
        return Snapshot(
            persons={p: self.persons[p] for p in pins if p in self.persons}, watermark=41
        )


@dataclass
class FakePages:
    """Keeps pages in memory. `fails`: raises and did not persist; `lies`: persisted and raises.

    `blown`: its fuse lets nothing be recorded.
    """

    fails: bool = False
    lies: bool = False
    pages: list[Page] = field(default_factory=list)
    blown: bool = False

    def check(self) -> None:
        """As the fuse says."""
        if self.blown:
            raise SealingBehind("pages are not sealed")

    def append(
        self, body: bytes, *, traceparent: str | None = None, on_sent: object = None
    ) -> None:
        """Keep a page, or fail as the switches say."""
        del traceparent, on_sent
        if self.fails:
            raise Unavailable("the page topic does not acknowledge")
        self.pages.append(Page.decode(body))
        if self.lies:
            raise Unavailable("the acknowledgement was lost")


@dataclass
class FakeLease:
    """A lease on a clock of the test's own."""

    leases: FakeLeases
    positions: tuple[Position, ...]
    until: float

    def holds(self) -> bool:
        """Whether it was taken or renewed lately."""
        return self.leases.now < self.until

    def renew(self, positions: Sequence[Position]) -> None:
        """Renew, or fail as the switches say."""
        self.leases.check()
        if not self.holds() or self not in self.leases.held:
            self.until = float("-inf")
            raise LeaseLost("the lease is gone")
        self.positions = tuple(positions)
        self.until = self.leases.now + LEASE_S - MARGIN_S

    def give_back(self) -> None:
        """End it."""
        self.until = float("-inf")
        self.leases.held.remove(self)


@dataclass
class FakeLeases:
    """Leases in memory. `fails`: no call succeeds; `now` is their clock."""

    held: list[FakeLease] = field(default_factory=list)
    released: PageRef | None = None
    fails: bool = False
    now: float = 100.0

    def check(self) -> None:
        """Fail if the switch says so."""
        if self.fails:
            raise Unavailable("the database does not answer")

    def take(self, positions: Sequence[Position]) -> FakeLease:
        """A new lease."""
        self.check()
        self.held.append(FakeLease(self, tuple(positions), self.now + LEASE_S - MARGIN_S))
        return self.held[-1]

    def remember_released(self, page: PageRef) -> None:
        """Keep a page."""
        self.check()
        self.released = page

    def find_released(self) -> PageRef | None:
        """The page that was kept."""
        self.check()
        return self.released

    def position(self, topic: str, partition: int) -> int:
        """As a fence asks: lapsed leases are buried first."""
        self.held = [lease for lease in self.held if self.now < lease.until + MARGIN_S]
        place = topic, partition
        found = (
            {(p.topic, p.partition): p.offset for p in lease.positions}.get(place, 0)
            for lease in self.held
        )
        return min(found, default=2**63 - 1)
