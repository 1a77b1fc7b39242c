"""The shell of flags: what it takes, what it passes over, what it tells, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from civicbus_audit.index.rows import row_of
from civicbus_consumers.flags.findings import Finding, Folded
from civicbus_consumers.flags.handler import FlagHandler
from civicbus_consumers.flags.memory import Memory
from civicbus_consumers.flags.records import judged, record_flag, record_label
from civicbus_consumers.flags.reference import NOTHING_KNOWN, read_reference
from civicbus_consumers.flags.store import Untold
from civicbus_consumers.flags.telling import Teller
from civicbus_consumers.flags.watching import ReferenceFile
from civicbus_consumers.flags.words import Flag, Label
from civicbus_consumers.population.incoming import Incoming, Partition
from civicbus_consumers.recording.pages import Stamp
from civicbus_schemas.codec import frame
from civicbus_schemas.errors import Refused, Stopped, Unavailable
from civicbus_schemas.ids import AgencyId, RecorderId, RecordId
from civicbus_schemas.page import Page, PageRef
from civicbus_schemas.record import Actor, Record, commitment
from civicbus_schemas.vocabulary import Outcome, RecordKind

from tests.fakes.pages import KEY, PUBLIC_KEYS, FakeRecorder, bound
from tests.unit.flags_samples import CLERK, MONDAY, hexed, reading

TOPIC = "audit.page.v1"


@dataclass
class MemoryStore:
    """Flags in memory; while it `fails`, neither a batch nor a mark is written."""

    memory: Memory = field(default_factory=Memory)
    positions: Mapping[Partition, int] = field(default_factory=dict)
    raised: list[Finding] = field(default_factory=list)
    told: set[tuple[str, RecordKind]] = field(default_factory=set)
    fails: bool = False

    def load(self, keys: set[str]) -> Memory:
        del keys
        return self.memory

    def apply(self, folded: Folded, remembered: Memory, positions: Mapping[Partition, int]) -> None:
        del remembered
        if self.fails:
            raise Unavailable("the database is away")
        self.raised += folded.raised
        self.positions = {**self.positions, **positions}

    def forget(self, now: datetime) -> None:
        del now

    def untold(self) -> list[Untold]:
        kind = RecordKind.FLAG_RAISED
        return [Untold(finding=f, kind=kind) for f in self.raised if (f.id, kind) not in self.told]

    def mark_told(self, told: Iterable[tuple[str, RecordKind]]) -> None:
        if self.fails:
            raise Unavailable("the database is away")
        self.told |= set(told)


def messages(*pages: Page | bytes, start: int = 0) -> list[Incoming]:
    bodies = [page if isinstance(page, bytes) else frame(1, page.encode()) for page in pages]
    return [
        Incoming(topic=TOPIC, partition=0, offset=n, at=MONDAY, headers=(), value=body)
        for n, body in enumerate(bodies, start)
    ]


def handler_of(store: MemoryStore, *, end: int = 0) -> FlagHandler:
    return FlagHandler(store, keys=PUBLIC_KEYS, reference=lambda: NOTHING_KNOWN, end=lambda: end)


def fishing(recorder: str = "1" * 32) -> list[Page]:
    """Ten strangers of one officer."""
    writer = FakeRecorder(RecorderId(recorder), process="lookup")
    return [writer.write(reading(n), at=MONDAY) for n in range(1, 11)]


def test_fishing_is_raised_once_when_its_pages_come_again() -> None:
    store = MemoryStore()
    pages = fishing()
    handler_of(store).handle(messages(*pages))
    handler_of(store).handle(messages(*pages))  # the same offsets
    handler_of(store).handle(messages(*pages, start=10))  # replayed behind their end
    assert [found.flag for found in store.raised] == [Flag.FISHING]
    assert store.positions == {(TOPIC, 0): 20}
    assert store.memory.officer(CLERK).total == 10


def test_forged_page_raises_nothing_when_no_known_key_signed_it() -> None:
    store = MemoryStore()
    pages = fishing()
    forged = [frame(1, page.encode()[:-40] + bytes(40)) for page in pages]
    FlagHandler(store, keys={}, reference=lambda: NOTHING_KNOWN, end=lambda: 0).handle(
        messages(*pages, *forged, b"no page")
    )
    assert (store.raised, store.positions) == ([], {(TOPIC, 0): 21})


def test_page_raises_nothing_when_its_name_is_not_one_of_its_key() -> None:
    store = MemoryStore()
    keys = bound(KEY, "enforce-0")
    handler = FlagHandler(store, keys=keys, reference=lambda: NOTHING_KNOWN, end=lambda: 0)
    handler.handle(messages(*fishing()))
    assert (store.raised, store.positions) == ([], {(TOPIC, 0): 10})


def test_fishing_is_raised_when_another_process_went_on_with_its_recorders_chain() -> None:
    store, pages = MemoryStore(), fishing()
    foreign = FakeRecorder(RecorderId("1" * 32), process="enforce-0", sequence=10**6)
    handler_of(store).handle(messages(foreign.write(reading(99)), *pages))
    assert Flag.FISHING in {found.flag for found in store.raised}


@pytest.mark.parametrize("told", ["closes", "released"])
@pytest.mark.parametrize(("process", "raised"), [("lookup", 0), ("enforce-0", 1)])
def test_a_page_stays_due_when_another_process_says_that_it_was_released(
    told: str, process: str, raised: int
) -> None:
    store, page = MemoryStore(), fishing()[0]
    ref = PageRef(recorder=RecorderId("1" * 32), sequence=0, hash=page.hash)
    other = FakeRecorder(RecorderId("2" * 32), process=process)
    setattr(other, told, ref)
    handler_of(store).handle(messages(page, other.write()))
    handler_of(store, end=2).pass_time()
    assert [found.flag for found in store.raised] == [Flag.UNRELEASED] * raised


def test_time_does_not_pass_when_pages_are_still_to_be_read() -> None:
    store = MemoryStore()
    handler_of(store).handle(messages(fishing()[0]))
    handler_of(store, end=2).pass_time()
    assert store.raised == []
    handler_of(store, end=1).pass_time()
    assert [found.flag for found in store.raised] == [Flag.UNRELEASED]


def test_nothing_is_taken_in_when_the_database_is_away() -> None:
    store = MemoryStore(fails=True)
    with pytest.raises(Unavailable):
        handler_of(store).handle(messages(*fishing()))
    assert (store.raised, store.positions) == ([], {})


class FakeRecorderOfFlags:
    """Writes pages into a list; `fails` fails the next, after it was written or before."""

    def __init__(self) -> None:
        self.pages: list[list[Record]] = []
        self.fails = False
        self.usable = True

    def check(self) -> None:
        """Always."""

    def open_page(self, at: datetime) -> FakeRecorderOfFlags:
        self.pages.append([])
        self.at = at
        return self

    def stamp(self) -> Stamp:
        number = sum(map(len, self.pages))
        return Stamp(id=RecordId(hexed(number)), nonce=bytes(16), salt=bytes(16), at=self.at)

    def add(self, record: Record, *, stamp: Stamp) -> None:
        del stamp
        self.pages[-1].append(record)

    def write(self, builder: Any, *, policy: None, positions: tuple[()]) -> object:
        del policy, positions
        if self.fails:
            self.usable = False
            raise Unavailable("no acknowledgement")
        return builder

    def mark_released(self, page: object) -> object:
        return page


def teller_of(store: MemoryStore, recorder: FakeRecorderOfFlags, *, end: int) -> Teller:
    return Teller(
        store,  # type: ignore[arg-type]
        begin_recorder=lambda _: recorder,  # type: ignore[arg-type, return-value]
        end=lambda: end,
        position=lambda: max(store.positions.values(), default=0),
    )


def test_flag_is_told_once_when_all_pages_were_read() -> None:
    store, recorder = MemoryStore(), FakeRecorderOfFlags()
    handler_of(store).handle(messages(*fishing()))
    assert teller_of(store, recorder, end=11).tell() == 0  # one page may say it already
    teller = teller_of(store, recorder, end=10)
    assert (teller.tell(), teller.tell()) == (1, 0)
    [[leaf]] = recorder.pages
    assert (leaf.kind, leaf.rule) == (RecordKind.FLAG_RAISED, "fishing")


def test_flag_is_not_told_again_until_the_topic_was_read_when_a_write_fails() -> None:
    store, recorder = MemoryStore(), FakeRecorderOfFlags()
    handler_of(store).handle(messages(*fishing()))
    ends = iter([10, 11])
    teller = Teller(
        store,  # type: ignore[arg-type]
        begin_recorder=lambda _: recorder,  # type: ignore[arg-type, return-value]
        end=lambda: next(ends),
        position=lambda: 10,
    )
    recorder.fails = True
    assert teller.tell() == 0
    recorder.fails = False
    assert teller.tell() == 0  # what failed may lie at offset 10
    assert store.told == set()


def test_flag_is_not_told_again_until_the_topic_was_read_when_its_mark_fails() -> None:
    store, recorder = MemoryStore(), FakeRecorderOfFlags()
    handler_of(store).handle(messages(*fishing()))
    teller = Teller(
        store,  # type: ignore[arg-type]
        begin_recorder=lambda _: recorder,  # type: ignore[arg-type, return-value]
        end=lambda: 10 + len(recorder.pages),
        position=lambda: 10,
    )
    store.fails = True
    assert teller.tell() == 0
    assert len(recorder.pages) == 1, "the page is durable"
    store.fails = False
    assert teller.tell() == 0
    assert len(recorder.pages) == 1, "it tells the flag, and was not read yet"


def finding() -> Finding:
    return Finding(
        flag=Flag.FISHING, record=hexed(1), at=MONDAY, raised_at=MONDAY, agency="mps",
        officer=CLERK, subject=hexed(2), score=70, count=8, usual=0.4,
    )  # fmt: skip


STAMP = Stamp(
    id=RecordId(hexed(9)), nonce=bytes(16), salt=b"s" * 16, at=datetime(2026, 11, 22, tzinfo=UTC)
)


def test_leaf_names_nobody_and_commits_to_what_was_judged_when_a_flag_is_told() -> None:
    leaf = record_flag(finding(), RecordKind.FLAG_RAISED, closing=None, stamp=STAMP)
    assert Record.decode(leaf.encode()) == leaf
    assert (leaf.subject, leaf.actor.officer) == (None, None)
    assert leaf.payload_hash == commitment(STAMP.salt, judged(finding()))
    assert CLERK.encode() in judged(finding())
    row, _, _ = row_of(0, leaf.encode(), page=None)
    assert row["about"] == bytes.fromhex(hexed(1))  # the index finds it by the reading


@pytest.mark.parametrize(
    ("label", "outcome"),
    [
        (Label.BENIGN, Outcome.PERMIT),
        (Label.CONFIRMED, Outcome.DENY),
        (Label.UNSURE, Outcome.ERROR),
    ],
)
def test_label_is_said_like_a_review_when_it_is_recorded(label: Label, outcome: Outcome) -> None:
    by = Actor(agency=AgencyId("npd"), system="oversight", officer=hexed(3))
    leaf = record_label(finding(), label, by=by, secret=b"why", stamp=STAMP)
    assert (leaf.decision, leaf.sealed) == (outcome, commitment(STAMP.salt, b"why"))


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b"{",
        b'{"unknown": []}',
        b'{"relations": [["a", "b", "volume"]]}',
        b'{"calendars": {"mps": {"opens": 7}}}',
        b'{"cases": {"c": {"clerks": [], "since": "2026-08-01T00:00:00"}}}',
    ],
)
def test_reference_is_refused_whole_when_a_part_cannot_be_understood(document: bytes) -> None:
    with pytest.raises(Refused, match="cannot be read"):
        read_reference(document)


def test_reference_is_read_again_when_its_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    path.write_text('{"watched": ["x"]}')
    reference = ReferenceFile(path)
    first = reference()
    assert first.watched == {"x"}
    assert reference() is first
    path.write_text('{"watched": ["x", "y"]}')
    assert reference().watched == {"x", "y"}


def test_nobody_is_judged_as_unwatched_when_the_reference_has_vanished(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    path.write_text('{"watched": ["x"]}')
    reference = ReferenceFile(path)
    reference()
    path.unlink()
    for each in (reference, ReferenceFile(path)):
        with pytest.raises(Stopped, match="cannot be read"):
            each()
