"""Topic and ledger held against each other: what contradicts is found, and nothing else is."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from civicbus_audit.completeness.commit import INDEX_COMMIT
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.discarding import prune
from civicbus_audit.ledger import Ledger
from civicbus_audit.notice import Finding, Notice
from civicbus_audit.pruning import PRUNER
from civicbus_audit.sealer import Sealer
from civicbus_audit.sequencing import PageMessage
from civicbus_audit.stored import StoredLog
from civicbus_consumers.scrubbing import passing
from civicbus_consumers.scrubbing.passing import Passed, Sides, scrub
from civicbus_consumers.scrubbing.rhythm import Rhythm, Stopping, Throttle
from civicbus_consumers.scrubbing.rules import Comparison, Fault, Kind
from civicbus_consumers.scrubbing.scrubber import Scrubber
from civicbus_schemas.codec import frame
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.ids import RecorderId
from prometheus_client import REGISTRY

from tests.fakes.page_topic import FakePages
from tests.fakes.pages import AT, PUBLIC_KEYS, FakeRecorder, decision, messages
from tests.fakes.witnesses import LOG, ORIGIN
from tests.unit.pruning_samples import prune_record, root_of

TopicEdit = Callable[[list[PageMessage]], object]


def topic() -> list[PageMessage]:
    """Two recorders, a repetition, no page at all, a gap with its notice, an hour: 15 leaves."""
    first, second = FakeRecorder(RecorderId("a" * 32)), FakeRecorder(RecorderId("b" * 32))
    pages = [first.write(decision(), decision()), first.write(decision()), second.write()]
    second.sequence += 1  # a page is lost
    pages += [pages[1], second.write(decision(), decision()), first.write(decision())]
    sent = messages(*pages, start=1)
    nonsense = PageMessage(offset=0, at=AT, value=b"no page at all")
    late = PageMessage(offset=7, at=AT, value=frame(7, b"no page either"))
    return [
        replace(message, at=AT + timedelta(minutes=10 * message.offset))
        for message in [nonsense, *sent, late]
    ]


class Place:
    """A sealed topic, in a folder; the database does not answer."""

    def __init__(
        self, folder: Path, *, batch: int = 5, sent: Sequence[PageMessage] | None = None
    ) -> None:
        self.pages = FakePages(topic() if sent is None else sent)
        (folder / "dsn").write_text("postgresql://bus:x@127.0.0.1:1/none")
        with Ledger.open(folder / "ledger", origin=ORIGIN, signer=LOG) as ledger:
            sealer = Sealer(ledger, keys=PUBLIC_KEYS)
            for start in range(0, len(self.pages.messages), batch):
                sealer.seal(self.pages.messages[start : start + batch])
        self.folder = folder
        self.sides = Sides(
            ledger_dir=folder / "ledger",
            trust=LOG.verifier,
            log=LOG.verifier,
            dsn_file=folder / "dsn",
            pages=self.pages,
        )

    def seal(self, message: PageMessage) -> None:
        """One message more."""
        self.pages.messages.append(message)
        with Ledger.open(self.folder / "ledger", origin=ORIGIN, signer=LOG) as ledger:
            Sealer(ledger, keys=PUBLIC_KEYS).seal([message])

    def edit(self, offset: int, value: bytes) -> None:
        self.pages.messages[offset] = replace(self.pages.messages[offset], value=value)

    def faults(self, *, hot: timedelta | None = None) -> list[tuple[str, int | None, int | None]]:
        return told(scrub(self.sides, since=None if hot is None else AT + hot))


def told(passed: Passed) -> list[tuple[str, int | None, int | None]]:
    assert set(passed.troubles) == {Comparison.INDEX}
    return [(fault.kind, fault.offset, fault.leaf) for fault in passed.faults]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_nothing_is_found_when_every_message_is_in_the_ledger(place: Place) -> None:
    assert place.faults() == []


@pytest.mark.parametrize("minutes", range(0, 90, 10))
def test_nothing_is_found_in_the_newest_part_wherever_it_begins(place: Place, minutes: int) -> None:
    assert place.faults(hot=timedelta(minutes=minutes)) == []


def flipped(value: bytes) -> bytes:
    return value[:-40] + bytes([value[-40] ^ 1]) + value[-39:]


@pytest.mark.parametrize("offset", [1, 2, 3, 5, 6])
def test_a_message_that_was_edited_is_named_by_its_offset_alone(place: Place, offset: int) -> None:
    place.edit(offset, flipped(place.pages.messages[offset].value))
    ((kind, at, _),) = place.faults()
    assert (kind, at) == (Kind.MISSING, offset)


def test_an_edited_message_is_found_in_the_newest_part_when_it_begins_there(place: Place) -> None:
    place.edit(2, flipped(place.pages.messages[2].value))
    (found,) = place.faults(hot=timedelta(minutes=20))
    assert found == (Kind.MISSING, 2, None)


def test_bytes_that_were_set_aside_are_missed_when_they_are_others_or_gone(place: Place) -> None:
    (kept, _) = sorted((place.folder / "ledger/quarantine").iterdir())
    kept.write_bytes(b"other bytes")
    ((kind, _, _),) = place.faults()
    assert kind == Kind.QUARANTINE
    kept.unlink()
    assert [kind for kind, _, _ in place.faults()] == [Kind.QUARANTINE]


def test_messages_that_were_deleted_are_counted_from_the_topic_s_beginning(place: Place) -> None:
    place.pages.low = 3
    (found,) = scrub(place.sides).faults
    assert (found.kind, found.offset, found.why) == (Kind.GONE, 0, "up to offset 2")


def test_messages_that_were_cut_off_are_found_at_the_topic_s_end(place: Place) -> None:
    del place.pages.messages[5:]
    (found,) = scrub(place.sides).faults
    assert (found.kind, found.offset, found.why) == (Kind.GONE, 5, "up to offset 7")


def test_a_leaf_that_no_message_brought_is_found_when_somebody_appended_it(place: Place) -> None:
    with Ledger.open(place.folder / "ledger", origin=ORIGIN, signer=LOG) as ledger:
        size = ledger.checkpoint.size
        ledger.append([decision().encode()], [b""], position=ledger.position)
    assert place.faults() == [(Kind.INVENTED, None, size)]


def test_a_leaf_between_two_pages_is_found_when_no_message_brought_it(tmp_path: Path) -> None:
    place = Place(tmp_path)
    others = place.pages.messages
    place.pages.messages = [*others[:2], *(replace(m, offset=m.offset - 1) for m in others[3:])]
    found = place.faults()
    assert (Kind.INVENTED, None, 4) in found


def test_a_page_that_was_passed_over_is_found_when_somebody_moved_the_position(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    more = FakeRecorder(RecorderId("c" * 32))
    place.pages.messages += messages(more.write(decision()), more.write(), start=8)
    with Ledger.open(tmp_path / "ledger", origin=ORIGIN, signer=LOG) as ledger:
        ledger.append([], [], position=9, memory=ledger.memory)
        Sealer(ledger, keys=PUBLIC_KEYS).seal(place.pages.messages[9:])
    assert [(kind, at) for kind, at, _ in place.faults()] == [(Kind.MISSING, 8)]


def test_a_sealed_part_is_missed_when_it_is_another_or_was_deleted(place: Place) -> None:
    part = next((place.folder / "ledger/sealed").rglob("15"))
    data = part.read_bytes()
    part.write_bytes(data.replace(b"sealed", b"SEALED", 1))
    assert {kind for kind, _, _ in place.faults()} == {Kind.SEALED_PART}
    part.unlink()
    assert {kind for kind, _, _ in place.faults()} == {Kind.SEALED_PART}


def test_a_checkpoint_that_is_gone_is_missed_and_a_ledger_that_never_was_is_not(
    place: Place, tmp_path: Path
) -> None:
    (place.folder / "ledger/checkpoint").unlink()
    (found,) = scrub(place.sides).faults
    assert (found.comparison, "checkpoint is gone" in found.why) == (Comparison.TREE, True)
    with pytest.raises(Unavailable, match="no ledger"):
        scrub(replace(place.sides, ledger_dir=tmp_path / "none"))


@pytest.mark.parametrize("path", ["state.json", "checkpoint", "tile/entries/000.p/15"])
@pytest.mark.parametrize("as_directory", [False, True])
def test_a_file_that_cannot_be_read_is_found_when_it_is_gone_or_a_directory(
    place: Place, path: str, as_directory: bool
) -> None:
    file = place.folder / "ledger" / path
    file.unlink()
    if as_directory:
        file.mkdir()
    assert "broken" in {fault.kind for fault in scrub(place.sides).faults}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_alarm_is_raised_when_the_thread_ends_by_an_error_that_nobody_foresaw() -> None:
    def connect() -> Sides:
        raise ZeroDivisionError

    scrubber = Scrubber(connect, rhythm=Rhythm(hot_s=0.0))
    assert scrubber.alarm is None, "not begun"
    scrubber.start()
    scrubber._thread.join(10)
    assert "has ended" in (scrubber.alarm or "")


def test_no_alarm_is_raised_when_the_thread_was_told_to_end(place: Place) -> None:
    scrubber = Scrubber(lambda: place.sides, rhythm=Rhythm())
    scrubber.start()
    scrubber.close()
    assert scrubber.alarm is None


@pytest.mark.parametrize("path", ["tile/0/000.p/15", "tile/entries/000.p/15"])
@pytest.mark.parametrize("hot", [None, timedelta(minutes=50)])
def test_a_tile_is_found_broken_in_whole_and_newest_part(
    place: Place, path: str, hot: timedelta | None
) -> None:
    file = place.folder / "ledger" / path
    file.write_bytes(flipped(file.read_bytes()))
    passed = scrub(place.sides, since=None if hot is None else AT + hot)
    assert Comparison.TREE in {fault.comparison for fault in passed.faults}


def test_it_sleeps_so_long_that_it_keeps_its_share_of_a_core() -> None:
    slept, used = list[float](), iter([0.0, 0.001, 0.5, 0.5])

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            slept.append(timeout or 0)
            return False

    stop = Stop()
    throttle = Throttle(0.1, stop, used_s=lambda: next(used))
    throttle()
    throttle()
    assert slept == [4.5]
    stop.set()
    with pytest.raises(Stopping):
        Throttle(0.1, stop, used_s=lambda: 0.0)()


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the index answers, as a list of one; it has no faults."""
    answers = [True]

    def examine(*_: object, **__: object) -> Iterator[Fault]:
        if not answers[0]:
            raise Unavailable("PostgreSQL does not answer")
        return iter(())

    monkeypatch.setattr(passing, "examine_index", examine)
    return answers


class Scrubbed:
    """A scrubber whose passes are a minute apart."""

    def __init__(self, place: Place) -> None:
        self.now = 0.0
        self.scrubber = Scrubber(lambda: place.sides, rhythm=Rhythm(), clock=lambda: self.now)

    def after(self, seconds: float = 60) -> tuple[Fault, ...]:
        self.now += seconds
        self.scrubber.pass_once(lambda: None)
        return self.scrubber.faults


@pytest.mark.usefixtures("database")
def test_an_alarm_stays_until_a_whole_pass_finds_nothing(place: Place) -> None:
    scrubbed, whole = Scrubbed(place), place.pages.messages[2]
    assert scrubbed.after() == ()
    place.edit(2, b"edited")
    assert scrubbed.after() == (), "older than the newest hour"
    (fault,) = scrubbed.after(Rhythm().whole_s)
    assert fault.offset == 2
    alarm = "the scrubber found contradictions (topic 1); run civicbus scrub"
    assert scrubbed.scrubber.alarm == alarm
    place.pages.messages[2] = whole
    assert scrubbed.after() == (fault,), "not compared again before its time"
    assert scrubbed.after(Rhythm().again_s) == ()
    assert scrubbed.scrubber.alarm is None


def counted(comparison: Comparison) -> float | None:
    """What the process tells whoever measures it."""
    return REGISTRY.get_sample_value("civicbus_scrub_faults", {"comparison": comparison})


def test_what_no_whole_pass_has_compared_is_unknown_and_not_nothing(
    place: Place, database: list[bool]
) -> None:
    scrubbed = Scrubbed(place)
    assert [math.isnan(counted(each) or 0) for each in Comparison] == [True] * len(Comparison)
    database[0] = False
    scrubbed.after()
    assert counted(Comparison.TOPIC) == 0
    assert math.isnan(counted(Comparison.INDEX) or 0)
    database[0] = True
    scrubbed.after(Rhythm().again_s)
    assert counted(Comparison.INDEX) == 0


def test_an_alarm_is_raised_when_no_whole_pass_was_complete_for_two_days(
    place: Place, database: list[bool]
) -> None:
    scrubbed, day = Scrubbed(place), Rhythm().whole_s
    database[0] = False
    scrubbed.after(2 * day)
    assert scrubbed.scrubber.alarm is None
    scrubbed.after()
    assert "not all could be compared" in (scrubbed.scrubber.alarm or "")
    database[0] = True
    scrubbed.after(day)
    assert scrubbed.scrubber.alarm is None


def test_everything_is_compared_again_soon_when_a_whole_pass_missed_the_index(
    place: Place, database: list[bool]
) -> None:
    scrubbed = Scrubbed(place)
    database[0] = False
    assert scrubbed.after() == ()
    database[0] = True
    place.edit(2, b"edited")
    assert scrubbed.after() == (), "older than the newest hour"
    (fault,) = scrubbed.after(Rhythm().again_s)
    assert fault.offset == 2


def test_nothing_is_found_when_each_page_that_was_set_aside_is_kept(tmp_path: Path) -> None:
    """Every finding that sets a page aside has its notice found; a foreign name as well."""
    foreign = FakeRecorder(RecorderId("c" * 32), process="provisioning").write(decision())
    (sent,) = messages(foreign)
    place = Place(tmp_path, sent=[sent])
    log = StoredLog(LedgerDirectory(tmp_path / "ledger").read, 1)
    notice = Notice.decode(log.leaf(0))
    assert notice.finding is Finding.FOREIGN_PROCESS
    assert place.faults() == []
    (tmp_path / "ledger/quarantine" / notice.content).unlink()
    assert [kind for kind, _, _ in place.faults()] == [Kind.QUARANTINE]


@pytest.fixture
def pruned(tmp_path: Path) -> Place:
    """A topic of some hours, whose ledger was pruned up to the commit in its second bundle."""
    recorder = FakeRecorder(RecorderId("a" * 32))
    pages = [recorder.write(*[decision()] * 200) for _ in range(3)]
    hourly = [
        replace(message, at=AT + timedelta(hours=message.offset)) for message in messages(*pages)
    ]
    place = Place(tmp_path, sent=hourly, batch=1)
    log = StoredLog(LedgerDirectory(tmp_path / "ledger").read, 605)
    first = [at for at, leaf in log.leaves() if INDEX_COMMIT.wrote(leaf)][-1]
    said = prune_record(first, root_of([leaf for _, leaf in log.leaves()][:first]))
    pruner = FakeRecorder(RecorderId("b" * 32), process=PRUNER)
    (more,) = messages(pruner.write(said), start=3)
    place.seal(replace(more, at=hourly[-1].at))
    prune(tmp_path / "ledger", trust=LOG.verifier)
    return place


def test_nothing_is_found_when_the_ledger_was_pruned(pruned: Place) -> None:
    assert not (pruned.folder / "ledger/tile/entries/000").exists()
    assert pruned.faults() == []
    pruned.pages.low = 2  # as the topic is once its pages went, too
    assert pruned.faults() == []


def test_what_is_kept_is_still_compared_when_the_ledger_was_pruned(pruned: Place) -> None:
    pruned.pages.low = 3
    assert pruned.faults()[0][0] == Kind.GONE
    pruned.pages.low = 0
    pruned.edit(2, flipped(pruned.pages.messages[2].value))
    assert pruned.faults() != []
