"""The sequencer: order, gaps, forks, late pages, forgeries, and exactly once over crashes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from civicbus_audit.ledger import Ledger
from civicbus_audit.memory import Memory
from civicbus_audit.merkle import CompactRange, leaf_hash
from civicbus_audit.note import Signer
from civicbus_audit.notice import NOTICE, Finding, Notice
from civicbus_audit.sealer import Sealed, Sealer
from civicbus_audit.sequencing import PageMessage, RecorderKey
from civicbus_audit.verify import verify_ledger
from civicbus_schemas.codec import frame
from civicbus_schemas.errors import Stopped
from civicbus_schemas.ids import AgencyId, RecorderId, RecordId
from civicbus_schemas.page import Page, PageHeader, PageRef, key_id, sign_page
from civicbus_schemas.record import Actor, Record, record_id
from civicbus_schemas.vocabulary import Outcome, RecordKind
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes.durable_files import FakeDurableFiles

ORIGIN = "civicbus.local/audit"
LOG = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01")
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x03")
KEYS = {
    key_id(signer.public_key().public_bytes_raw()): RecorderKey(
        public_key=signer.public_key().public_bytes_raw(), processes=frozenset(processes)
    )
    for signer, *processes in ((KEY, "enforce-0", "enforce-0-more"), (OTHER, "oversight"))
}
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
A, B = RecorderId("a" * 32), RecorderId("b" * 32)


def record(recorder: RecorderId, sequence: int, index: int) -> bytes:
    return Record(
        id=record_id(recorder, page=sequence, index=index),
        nonce=bytes(16),
        kind=RecordKind.ACCESS_DECISION,
        at=AT,
        actor=Actor(agency=AgencyId("vss"), system="stream"),
        decision=Outcome.PERMIT,
    ).encode()


def page(
    recorder: RecorderId,
    sequence: int,
    previous: str | None,
    *,
    records: int = 2,
    signer: Ed25519PrivateKey = KEY,
    process: str = "enforce-0",
    at: datetime = AT,
    **told: PageRef,
) -> Page:
    leaves = [record(recorder, sequence, index) for index in range(records)]
    header = PageHeader(
        process=process,
        recorder=recorder,
        sequence=sequence,
        previous=previous,
        closes=told.get("closes"),
        released=told.get("released"),
        policy=None,
        at=at,
        positions=(),
        records=len(leaves),
        root=CompactRange().extended(map(leaf_hash, leaves)).root().hex(),
    )
    key = key_id(signer.public_key().public_bytes_raw())
    return sign_page(header, records=leaves, sealed=[b"s"] * records, signer=signer, key=key)


def chain(recorder: RecorderId, count: int) -> list[Page]:
    pages = list[Page]()
    for sequence in range(count):
        pages.append(page(recorder, sequence, pages[-1].hash if pages else None))
    return pages


class Topic:
    """The page topic: what was appended, by offset."""

    def __init__(self) -> None:
        self.messages = list[PageMessage]()

    def append(self, *pages: Page | bytes) -> None:
        for item in pages:
            value = frame(7, item.encode()) if isinstance(item, Page) else item
            self.messages.append(PageMessage(offset=len(self.messages), at=AT, value=value))


class Bench:
    """A ledger in memory and a topic; `seal` takes what is new."""

    def __init__(self) -> None:
        self.files, self.topic = FakeDurableFiles(), Topic()

    def seal(self, *pages: Page | bytes) -> Sealed:
        self.topic.append(*pages)
        with self.open() as ledger:
            sealer = Sealer(ledger, keys=KEYS)
            return sealer.seal(self.topic.messages[sealer.position :])

    def open(self) -> Ledger:
        return Ledger.open(Path("unused"), origin=ORIGIN, signer=LOG, files=self.files)

    def leaves(self) -> list[bytes]:
        with self.open() as ledger:
            return [leaf for _, leaf in ledger.log().leaves()]

    def notices(self) -> list[Notice]:
        return [Notice.decode(leaf) for leaf in self.leaves() if NOTICE.wrote(leaf)]


def test_header_comes_before_its_records_when_pages_are_in_order() -> None:
    bench, pages = Bench(), chain(A, 3)
    sealed = bench.seal(*pages)
    assert (sealed.pages, sealed.leaves, sealed.duplicates, sealed.findings) == (3, 9, 0, {})
    assert bench.leaves() == [leaf for p in pages for leaf in [p.header, *p.records]]


def test_two_recorders_keep_their_own_chains_when_their_pages_mix() -> None:
    bench, a, b = Bench(), chain(A, 2), chain(B, 2)
    assert not bench.seal(a[0], b[0], b[1], a[1]).findings


def test_a_page_is_dropped_and_counted_when_it_comes_again() -> None:
    bench, pages = Bench(), chain(A, 3)
    assert bench.seal(*pages, pages[2], pages[0]).duplicates == 2
    assert bench.seal(pages[1]).duplicates == 1
    assert len(bench.leaves()) == 9
    assert not bench.notices()


def test_a_gap_is_named_and_the_page_kept_when_one_is_missing() -> None:
    bench, pages = Bench(), chain(A, 4)
    assert bench.seal(pages[0], pages[3]).findings == {Finding.GAP: 1}
    notice = bench.notices()[0]
    assert (notice.finding, notice.sequence, notice.expected) == (Finding.GAP, 3, 1)
    assert bench.leaves()[3:5] == [notice.encode(), pages[3].header]
    assert notice.content == pages[3].hash


def test_a_gap_is_named_when_a_recorder_s_first_page_is_missing() -> None:
    bench = Bench()
    assert bench.seal(chain(A, 2)[1]).findings == {Finding.GAP: 1}


def test_a_late_page_is_sequenced_and_named_when_its_place_was_a_gap() -> None:
    bench, pages = Bench(), chain(A, 4)
    bench.seal(pages[0], pages[2])
    assert bench.seal(pages[1], pages[3]).findings == {Finding.LATE: 1}
    assert bench.seal(pages[1]).duplicates == 1


def test_a_fork_is_sequenced_and_named_when_a_sequence_is_taken() -> None:
    bench, pages = Bench(), chain(A, 2)
    other = page(A, 1, pages[0].hash, records=1)
    sealed = bench.seal(*pages, other)
    assert sealed.findings == {Finding.FORK: 1}
    assert bench.leaves()[-2:] == [other.header, *other.records]
    assert bench.seal(other, page(A, 2, pages[1].hash)).findings == {}


def test_a_fork_is_named_when_a_page_follows_a_page_that_nobody_saw() -> None:
    bench, pages = Bench(), chain(A, 1)
    assert bench.seal(*pages, page(A, 1, "00" * 32)).findings == {Finding.FORK: 1}
    assert bench.seal(page(B, 0, "00" * 32)).findings == {Finding.FORK: 1}


GOOD = chain(A, 1)[0]
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x02")


def _flipped(value: bytes, place: bytes) -> bytes:
    at = value.index(place) + len(place) // 2
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


@pytest.mark.parametrize(
    ("finding", "value"),
    [
        pytest.param("unreadable", b"", id="empty"),
        pytest.param("unreadable", b"\x00\x00\x00\x00\x07garbage", id="garbage"),
        pytest.param("unreadable", frame(7, GOOD.encode())[:-1], id="cut"),
        pytest.param("unreadable", GOOD.encode(), id="no-frame"),
        pytest.param("unreadable", replace(GOOD, sealed=()), id="sealed-parts-missing"),
        pytest.param("unreadable", replace(GOOD, records=(bytes(65_536),)), id="record-too-long"),
        pytest.param("unreadable", replace(GOOD, header=GOOD.records[0]), id="no-header"),
        pytest.param("records-differ", replace(GOOD, records=GOOD.records[::-1]), id="reordered"),
        pytest.param(
            "records-differ",
            replace(GOOD, records=GOOD.records[:1], sealed=(b"",)),
            id="record-dropped",
        ),
        pytest.param("unknown-key", page(A, 0, None, signer=STRANGER), id="unknown-key"),
        pytest.param(
            "wrong-signature",
            _flipped(frame(7, GOOD.encode()), GOOD.header[-60:]),
            id="signature-changed",
        ),
        pytest.param(
            "wrong-signature",
            frame(7, GOOD.encode()).replace(b"enforce-0", b"enforce-1"),
            id="header-changed",
        ),
        pytest.param(
            "foreign-process", page(A, 0, None, process="oversight"), id="name-of-another-key"
        ),
        pytest.param("foreign-process", page(A, 0, None, process="x"), id="name-of-no-key"),
        pytest.param("foreign-process", page(A, 0, None, process=""), id="no-name"),
        pytest.param(
            "foreign-process", page(A, 0, None, process="enforce-0-"), id="name-that-is-near"
        ),
        pytest.param(
            "foreign-process", page(A, 0, None, signer=OTHER), id="other-key-under-this-name"
        ),
        pytest.param(
            "unreadable",
            replace(GOOD, records=(GOOD.header, GOOD.header)),
            id="record-poses-as-a-header",
        ),
    ],
)
def test_a_message_is_set_aside_and_named_when_it_is_no_authentic_page(
    finding: str, value: Page | bytes
) -> None:
    bench = Bench()
    sealed = bench.seal(value, GOOD)
    assert sealed.findings == {Finding(finding): 1}
    notice, message = bench.notices()[0], bench.topic.messages[0].value
    assert bench.leaves() == [notice.encode(), GOOD.header, *GOOD.records]
    assert bench.files.read(f"quarantine/{notice.content}") == message
    assert (notice.finding, notice.offset) == (finding, 0)


def test_pages_are_sealed_when_each_name_is_one_of_its_key() -> None:
    bench = Bench()
    named = page(A, 0, None), page(B, 0, None, process="enforce-0-more")
    pruner = page(RecorderId("c" * 32), 0, None, process="oversight", signer=OTHER)
    assert bench.seal(*named, pruner).findings == {}
    assert bench.leaves() == [leaf for p in (*named, pruner) for leaf in (p.header, *p.records)]


def test_a_recorder_goes_on_when_somebody_continued_its_chain_under_a_foreign_name() -> None:
    """What is set aside moves no chain: the recorder's own page with that number is no fork."""
    bench, (first, second) = Bench(), chain(A, 2)
    foreign = page(A, 1, first.hash, process="oversight")
    assert bench.seal(first, foreign, second).findings == {Finding.FOREIGN_PROCESS: 1}
    (notice,) = bench.notices()
    both = [[p.header, *p.records] for p in (first, second)]
    assert bench.leaves() == [*both[0], notice.encode(), *both[1]]


_FIRST = page(A, 0, None)
_OF_ANOTHER = PageRef(recorder=A, sequence=0, hash=_FIRST.hash)
_OWN: Any = {
    "process": "enforce-0-more"
}  # a name of this key, and not the one that began the chain


@pytest.mark.parametrize(
    "foreign",
    [
        page(A, 1, _FIRST.hash, **_OWN),
        page(A, 5, None, **_OWN),
        page(B, 0, None, **_OWN, closes=_OF_ANOTHER),
        page(B, 0, None, **_OWN, released=_OF_ANOTHER),
    ],
    ids=["goes on with it", "leaves a gap in it", "closes it", "tells of its release"],
)
def test_nobody_speaks_for_a_chain_that_another_process_began(foreign: Page) -> None:
    bench, second = Bench(), page(A, 1, _FIRST.hash, released=_OF_ANOTHER)
    assert bench.seal(_FIRST, foreign, second).findings == {Finding.FOREIGN_PROCESS: 1}
    (notice,) = bench.notices()
    both = [[p.header, *p.records] for p in (_FIRST, second)]
    assert bench.leaves() == [*both[0], notice.encode(), *both[1]]


def test_a_chain_goes_on_when_the_state_does_not_say_whose_it_is() -> None:
    bench, (first, second, third) = Bench(), chain(A, 3)
    bench.seal(first)
    with bench.open() as ledger:
        state = ledger._state
    former = {**state.memory, "chains": {A: [0, first.hash]}}
    bench.files.write("state.json", replace(state, memory=former).encode())
    assert bench.seal(second).findings == {}
    assert bench.seal(page(A, 2, second.hash, **_OWN), third).findings == {
        Finding.FOREIGN_PROCESS: 1
    }


def test_sealing_stops_when_a_page_was_deleted_from_the_topic() -> None:
    bench = Bench()
    bench.topic.append(*chain(A, 3))
    with bench.open() as ledger, pytest.raises(Stopped, match="missing from the page topic"):
        Sealer(ledger, keys=KEYS).seal(bench.topic.messages[1:])


def test_messages_are_passed_over_when_they_were_sealed_before() -> None:
    bench = Bench()
    bench.seal(*chain(A, 2))
    with bench.open() as ledger:
        sealed = Sealer(ledger, keys=KEYS).seal(bench.topic.messages)
    assert (sealed.pages, sealed.leaves) == (0, 0)


def _mixed() -> list[Page | bytes]:
    a, b = chain(A, 5), chain(B, 3)
    fork = page(A, 1, a[0].hash, records=1)
    return [a[0], b[0], a[1], fork, b"poison", a[3], a[2], b[2], a[1], a[4], b"poison", b[1]]


def test_the_chains_are_the_same_when_they_are_rebuilt_from_the_leaves() -> None:
    bench = Bench()
    bench.seal(*_mixed())
    with bench.open() as ledger:
        rebuilt = Memory.of_leaves(ledger.log().leaves())
        assert rebuilt.chains == Memory.from_json(ledger.memory).chains


def test_nothing_is_sealed_twice_when_the_position_was_lost_and_the_topic_is_read_anew() -> None:
    bench = Bench()
    bench.seal(*_mixed())
    before = bench.leaves()
    with bench.open() as ledger:
        lost = ledger._state
        state = replace(lost, position=0)
        bench.files.write("state.json", state.encode())
    with bench.open() as ledger:
        sealed = Sealer(ledger, keys=KEYS).seal(bench.topic.messages)
    assert (sealed.leaves, sealed.duplicates) == (0, len(bench.topic.messages))
    assert bench.leaves() == before


def test_every_page_is_sealed_once_when_each_call_of_the_disk_fails_in_turn() -> None:
    whole = Bench()
    whole.seal(*_mixed())
    expected = whole.leaves()
    for call in range(1, 200):
        bench = Bench()
        bench.topic.append(*_mixed())
        with bench.open() as ledger:
            sealer = Sealer(ledger, keys=KEYS)
            sealer.seal(bench.topic.messages[:6])
            bench.files.fail_at = call
            try:
                sealer.seal(bench.topic.messages[6:])
            except Stopped:
                pass
            else:
                break
        bench.files.crash()
        with bench.open() as ledger:
            sealer = Sealer(ledger, keys=KEYS)
            sealer.seal(bench.topic.messages[sealer.position :])
        assert bench.leaves() == expected
        assert verify_ledger(bench.files, LOG.verifier).size == len(expected)
    assert call > 20


def test_a_notice_reads_back_when_it_was_written() -> None:
    notice = Notice(finding=Finding.GAP, at=AT, offset=3, content="00" * 32, recorder=A, sequence=1)
    assert Notice.decode(notice.encode()) == notice
    assert RecordId(notice.id) == notice.id
