"""Fakes of what the release step works with; they write one journal, so that order can be seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from civicbus_consumers.access.plan import compile_plan
from civicbus_consumers.enforcement.broker import Outgoing
from civicbus_consumers.enforcement.clock import Clock
from civicbus_consumers.enforcement.endings import Ending
from civicbus_consumers.enforcement.note import Coordinates, Note
from civicbus_consumers.enforcement.rules import Taken
from civicbus_consumers.enforcement.states import ReadyPlan
from civicbus_consumers.recording.fuse import SealingBehind
from civicbus_schemas.consent import NO_CONSENTS, SubjectConsents
from civicbus_schemas.errors import Fatal, Unavailable
from civicbus_schemas.ids import AgencyId, family_of
from civicbus_schemas.page import Page, Position
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.topics import STATE_CONSENT, STATE_POLICY
from civicbus_schemas.withheld import notice_type


@dataclass
class Journal:
    """Everything that was done to the outside world, in order."""

    lines: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Write a line."""
        self.lines.append(line)


@dataclass
class FakePageLog:
    """Keeps pages in memory. `fails`: raises and did not persist; `lies`: persisted and raises.

    `blown`: its fuse lets nothing be recorded.
    """

    journal: Journal
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
        self.journal.note("page")
        if self.lies:
            raise Unavailable("the acknowledgement was lost")


@dataclass
class FakeStates:
    """States that are always caught up; `raises` is raised instead."""

    ready: ReadyPlan
    consents: Mapping[bytes, SubjectConsents] = field(default_factory=dict)
    raises: Exception | None = None
    offset: int = 10
    untold: list[Ending] = field(default_factory=list)
    news: bool = False

    def catch_up(self) -> tuple[Position, ...]:
        """The positions of three partitions."""
        if self.raises:
            raise self.raises
        return (
            Position(topic=STATE_POLICY, partition=0, offset=1),
            Position(topic=STATE_CONSENT, partition=0, offset=self.offset),
            Position(topic=STATE_CONSENT, partition=2, offset=self.offset),
        )

    def has_news(self) -> bool:
        """Whether a newer state has arrived."""
        return self.news

    def consents_of(self, key: bytes) -> SubjectConsents:
        """The consents that were set for a key."""
        return self.consents.get(key, NO_CONSENTS)


@dataclass
class FakeReleases:
    """Transactions in memory. `fails_at` names the call that raises `Fatal`."""

    journal: Journal
    fails_at: str | None = None
    produced: list[Outgoing] = field(default_factory=list)
    committed: list[tuple[Sequence[Coordinates], Note]] = field(default_factory=list)
    positions: Sequence[Position] = ()

    def begin(self) -> None:
        """Begin."""
        self._do("begin")

    def produce(self, message: Outgoing) -> None:
        """Produce."""
        self._do(f"produce {message.topic}")
        self.produced.append(message)

    def send_offsets(
        self, sources: Sequence[Coordinates], positions: Sequence[Position], note: Note
    ) -> None:
        """Send offsets with a note."""
        self._do("offsets")
        self._sent, self._passed = (sources, note), positions

    def commit(self) -> None:
        """Commit."""
        self._do("commit")
        self.committed.append(self._sent)
        self.positions = self._passed

    def abort(self) -> None:
        """Abort in order."""
        self._do("abort")

    def _do(self, call: str) -> None:
        if self.fails_at == call.split()[0]:
            raise Fatal(f"{call} failed")
        self.journal.note(call)


@dataclass
class FakeClock:
    """A clock that only tests move. `set_back` moves the time of day alone."""

    at: datetime = datetime(2026, 11, 22, 9, tzinfo=UTC)
    elapsed_s: float = 0.0

    def pass_time(self, seconds: float) -> None:
        """Both clocks go on."""
        self.at += timedelta(seconds=seconds)
        self.elapsed_s += seconds

    def set_back(self, seconds: float) -> None:
        """Somebody sets the time of day."""
        self.at -= timedelta(seconds=seconds)

    @property
    def clock(self) -> Clock:
        """As enforcement has it."""
        return Clock(now=lambda: self.at, monotonic=lambda: self.elapsed_s)


@dataclass
class FakeSources:
    """Messages that wait in memory, taken in order."""

    waiting: list[Taken] = field(default_factory=list)

    def take(self, limit: int, *, wait_s: float) -> list[Taken]:
        """The first messages."""
        del wait_s
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    def put_back(self, rest: Sequence[Taken]) -> None:
        """Give messages back."""
        self.waiting = [*rest, *self.waiting]


def by_name(agency: AgencyId) -> bytes:
    """A recipient's key, made of its name."""
    return agency.encode().ljust(32, b"\0")


def ready(
    policy: PolicySet, *, pairwise_key_of: Callable[[AgencyId], bytes] = by_name
) -> ReadyPlan:
    """A policy set made ready; schema ids count from 100."""
    plan = compile_plan(policy, pairwise_key_of=pairwise_key_of)
    names = [
        (release.agreement.ref, type_)
        for (_, event_type), planned in plan.types.items()
        for release in planned.releases
        for type_ in (event_type, notice_type(family_of(event_type)))
    ]
    return ReadyPlan(policy=policy, plan=plan, schema_ids={n: 100 + i for i, n in enumerate(names)})
