"""Index commits by the sequencer: when, which, exactly once over crashes; `verify` checks them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from civicbus_audit import committing
from civicbus_audit.completeness.commit import INDEX_COMMIT, IndexCommit
from civicbus_audit.crew import crew_of
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.sealer import Sealed, Sealer
from civicbus_audit.sequencing import PageMessage
from civicbus_audit.verify import verify_ledger
from civicbus_schemas.codec import frame
from civicbus_schemas.errors import EvidenceBroken, Stopped
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.page import Page
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes.durable_files import FakeDurableFiles
from tests.fakes.pages import AT, PUBLIC_KEYS, FakeRecorder, decision

ORIGIN = "civicbus.local/audit"
LOG = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))


def pages(count: int) -> list[Page]:
    recorder = FakeRecorder(RecorderId("a" * 32))
    return [recorder.write(decision(subject=f"{n % 3:032x}"), decision()) for n in range(count)]


def at(minutes: int) -> datetime:
    return AT + timedelta(minutes=minutes)


def topic(*minutes: int) -> list[PageMessage]:
    """One page of three leaves at each of these minutes of log time."""
    return [
        PageMessage(offset=offset, at=at(minute), value=frame(7, page.encode()))
        for offset, (minute, page) in enumerate(zip(minutes, pages(len(minutes)), strict=True))
    ]


class Bench:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.files = FakeDurableFiles()

    def open(self) -> Ledger:
        return Ledger.open(Path("unused"), origin=ORIGIN, signer=LOG, files=self.files)

    def seal(self, messages: Sequence[PageMessage], *, at_once: int = 1000) -> list[Sealed]:
        """Seals so many messages at once, each time with a sealer made anew."""
        done = list[Sealed]()
        for start in range(0, len(messages), at_once):
            with self.open() as ledger:
                done.append(Sealer(ledger, keys=PUBLIC_KEYS).seal(messages[: start + at_once]))
        return done

    def leaves(self) -> list[bytes]:
        with self.open() as ledger:
            return [leaf for _, leaf in ledger.log().leaves()]

    def commits(self) -> list[tuple[int, int, datetime]]:
        found = map(IndexCommit.decode, filter(INDEX_COMMIT.wrote, self.leaves()))
        return [(commit.first, commit.end, commit.at) for commit in found]


def test_a_commit_closes_the_hour_when_the_first_page_of_the_next_one_comes() -> None:
    bench = Bench()
    bench.seal(topic(0, 30, 59))
    assert bench.commits() == []
    bench.seal(topic(0, 30, 59, 60, 61))
    assert bench.commits() == [(0, 9, at(60))]
    commit = IndexCommit.decode(bench.leaves()[9])
    assert (commit.earliest, commit.latest, commit.unreadable) == (AT, AT, 0)
    assert commit.head.keys == 4 + 1  # four persons, one recipient
    assert verify_ledger(bench.files, LOG.verifier).size == 16


def test_commits_cover_the_log_without_hole_when_hours_pass_and_hours_are_empty() -> None:
    bench = Bench()
    bench.seal(topic(0, 70, 80, 400, 410, 470))
    assert bench.commits() == [
        (0, 3, at(60)), (3, 10, at(360)), (10, 17, at(420)),
    ]  # fmt: skip


def test_commits_go_on_when_the_broker_s_clock_was_wrong_for_a_while() -> None:
    bench = Bench()
    bench.seal(topic(0, 60 * 24 * 365, 1, 61))
    assert [commit[:2] for commit in bench.commits()] == [(0, 3), (3, 7), (7, 11)]


def test_a_commit_comes_early_when_the_range_grows_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(committing, "MAX_LEAVES", 6)
    bench = Bench()
    bench.seal(topic(0, 1, 2, 3, 4))
    assert bench.commits() == [(0, 6, at(0)), (6, 13, at(0))]


@pytest.mark.parametrize("at_once", [1, 2, 3, 7])
def test_the_leaves_are_the_same_when_sealing_is_restarted(at_once: int) -> None:
    messages = topic(0, 30, 61, 62, 119, 121, 300)
    whole, parts = Bench(), Bench()
    whole.seal(messages)
    parts.seal(messages, at_once=at_once)
    assert parts.leaves() == whole.leaves()


def test_nothing_is_committed_twice_when_the_position_was_lost_and_the_topic_is_read_anew() -> None:
    messages, bench, whole = topic(0, 61, 62, 121), Bench(), Bench()
    bench.seal(messages[:3])
    before = bench.leaves()
    with bench.open() as ledger:
        state = replace(ledger._state, position=0, memory=ledger._state.memory)
        bench.files.write("state.json", state.encode())
    bench.seal(messages[:3])
    assert bench.leaves() == before
    bench.seal(messages)
    whole.seal(messages)
    assert bench.leaves() == whole.leaves()


def test_each_commit_stands_once_when_each_call_of_the_disk_fails_in_turn() -> None:
    messages, whole = topic(0, 30, 61, 62, 121, 122), Bench()
    whole.seal(messages)
    expected = whole.leaves()
    for call in range(1, 200):
        bench = Bench()
        with bench.open() as ledger:
            sealer = Sealer(ledger, keys=PUBLIC_KEYS)
            sealer.seal(messages[:2])
            bench.files.fail_at = call
            try:
                sealer.seal(messages[2:])
            except Stopped:
                pass
            else:
                break
        bench.files.crash()
        bench.seal(messages)
        assert bench.leaves() == expected
        assert verify_ledger(bench.files, LOG.verifier).size == len(expected)
    assert call > 20


@pytest.mark.parametrize("processes", [1, 2])
def test_verify_names_the_commit_when_whoever_holds_the_log_s_key_hides_a_reading(
    processes: int,
) -> None:
    bench = Bench()
    bench.seal(topic(0, 61, 62, 121, 122))
    with bench.open() as ledger:
        honest = Sealer(ledger, keys=PUBLIC_KEYS)._committing._tally.commit(at(180))
        forged = replace(honest, head=replace(honest.head, root=bytes(32)))
        ledger.append([forged.encode()], [b""], position=5)
    with (
        crew_of(processes) as crew,
        pytest.raises(EvidenceBroken, match=r"commit in leaf 17 is not .* leaves 10 to 16 make"),
    ):
        verify_ledger(bench.files, LOG.verifier, crew=crew)


def test_a_page_is_set_aside_when_a_record_poses_as_a_commit() -> None:
    bench = Bench()
    bench.seal(topic(0, 61))
    commit = bench.leaves()[3]
    poser = replace(pages(1)[0], records=(commit, commit))
    message = PageMessage(offset=2, at=at(62), value=frame(7, poser.encode()))
    assert bench.seal([*topic(0, 61), message])[0].findings == {"unreadable": 1}
