"""Sealing goes on without a quorum for a set time, says so, and then takes no more pages."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from civicbus_audit.ledger import Ledger
from civicbus_audit.quorum import Policy, open_cosigned
from civicbus_audit.sealer import Sealer
from civicbus_audit.sequencing import PageMessage
from civicbus_audit.verify import published, verify_ledger
from civicbus_audit.witnessing import Witnessing
from civicbus_consumers.runtime.health import Health
from civicbus_consumers.sealing import app
from civicbus_consumers.sealing.app import Parts, Sealing
from civicbus_consumers.sealing.cosigning import Cosigning
from civicbus_consumers.sealing.rules import (
    Fuse,
    Limits,
    Waiting,
    is_due,
    judge,
    unwitnessed_s,
)
from civicbus_consumers.sealing.settings import SealingSettings
from civicbus_consumers.sealing.source import Taken
from civicbus_producers.settings import InvalidSettings
from civicbus_schemas.ids import RecorderId
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.durable_files import FakeDurableFiles
from tests.fakes.pages import PUBLIC_KEYS, FakeRecorder, decision, messages
from tests.fakes.witnesses import LOG, ORIGIN, fake_witnesses, policy_of

LIMITS = Limits(warn_s=15, stop_s=60, retry_s=1, refresh_s=60)
POLICY = policy_of()


@pytest.mark.parametrize(
    ("waited_s", "fuse"),
    [
        (None, Fuse.WHOLE),
        (0, Fuse.WHOLE),
        (14.9, Fuse.WHOLE),
        (15, Fuse.WARNING),
        (59.9, Fuse.WARNING),
        (60, Fuse.BLOWN),
        (1e6, Fuse.BLOWN),
    ],
)
def test_fuse_warns_and_then_blows_as_leaves_wait(waited_s: float | None, fuse: Fuse) -> None:
    since = None if waited_s is None else 100 - waited_s
    waiting = Waiting(since=since, cosigned=0, tried=0)
    assert judge(waiting, LIMITS, now=100) is fuse


times = st.floats(0, 1e6)


@given(times, times, times, times)
def test_something_new_is_asked_for_within_the_pause_whatever_came_before(
    since: float, cosigned: float, tried: float, now: float
) -> None:
    waiting = Waiting(since=since, cosigned=cosigned, tried=tried)
    assert unwitnessed_s(waiting, now=now) >= 0
    if now - tried >= LIMITS.retry_s:
        assert is_due(waiting, LIMITS, now=now)


class Place:
    """A ledger in memory, its witnesses, and clocks that stand until they are moved."""

    def __init__(self) -> None:
        self.files, self.witnesses = FakeDurableFiles(), fake_witnesses()
        self.now = 1000.0
        self.open()

    def open(self, policy: Policy | None = POLICY) -> None:
        self.ledger = Ledger.open(
            Path("unused"), origin=ORIGIN, signer=LOG, policy=policy, files=self.files
        )
        self.cosigning = Cosigning(
            self.ledger,
            None if policy is None else Witnessing(policy, self.witnesses, timeout_s=20),
            limits=LIMITS,
            clock=lambda: self.now,
            wall=lambda: 1_800_000_000 + self.now - 1000,
        )

    def append(self, leaf: bytes = b"leaf") -> None:
        self.ledger.append([leaf], [b""], position=self.ledger.position + 1)

    def end_witnesses(self, mode: Any = "dead", *, count: int = 2) -> None:
        for witness in self.witnesses[:count]:
            witness.mode = mode

    @property
    def published(self) -> int:
        return published(self.files, POLICY)[0].size


def test_each_append_is_published_when_the_witnesses_are_there() -> None:
    place = Place()
    for size in (1, 2):
        place.append()
        assert place.cosigning.keep_up()
        assert place.published == size
        assert not place.cosigning.keep_up()  # nothing is new


def test_two_of_three_suffice_when_one_is_dead() -> None:
    place = Place()
    place.end_witnesses(count=1)
    place.append()
    assert place.cosigning.keep_up()


def test_the_fuse_counts_from_the_first_leaf_that_waits() -> None:
    place = Place()
    place.append()
    place.cosigning.keep_up()
    place.end_witnesses()
    place.now += 500  # idle time is not waiting time
    for fuse in (Fuse.WHOLE, Fuse.WARNING, Fuse.WARNING, Fuse.WARNING, Fuse.BLOWN):
        place.append()
        assert not place.cosigning.keep_up()
        assert place.cosigning.fuse is fuse
        place.now += 15
    assert place.published == 1
    place.end_witnesses("well")
    assert place.cosigning.keep_up()
    assert (place.cosigning.fuse, place.published) == (Fuse.WHOLE, 6)


def test_dead_witnesses_are_not_asked_more_often_than_the_pause_says() -> None:
    place = Place()
    place.end_witnesses("deaf")
    place.append()
    for _ in range(10):
        place.cosigning.keep_up()
        place.now += 0.2
    assert len(place.witnesses[0].cosigned) <= 4


def test_waiting_time_is_not_forgotten_when_sealing_starts_anew() -> None:
    place = Place()
    place.append()
    place.cosigning.keep_up()
    place.end_witnesses()
    place.append()
    place.now += 70
    place.ledger.close()
    place.open()
    assert place.cosigning.fuse is Fuse.BLOWN
    place.end_witnesses("well")
    assert place.cosigning.keep_up()
    assert place.cosigning.fuse is Fuse.WHOLE


@pytest.mark.parametrize("before", [None, policy_of(quorum=1)], ids=["no policy", "a weaker one"])
def test_what_stands_without_a_quorum_waits_when_a_policy_begins(before: Policy | None) -> None:
    place = Place()
    place.ledger.close()
    place.open(before)
    place.end_witnesses()  # one of three is left
    place.append()
    assert place.cosigning.keep_up() == (before is not None)
    place.ledger.close()
    place.open()
    assert place.ledger.published is None
    place.now += 15
    assert place.cosigning.fuse is Fuse.WARNING
    assert not place.cosigning.keep_up()
    place.now += 45
    assert place.cosigning.fuse is Fuse.BLOWN
    place.end_witnesses("well")
    assert place.cosigning.keep_up()
    assert (place.cosigning.fuse, place.published) == (Fuse.WHOLE, 1)


def test_a_restart_counts_anew_when_no_witness_ever_cosigned() -> None:
    place = Place()
    place.end_witnesses(count=3)
    place.append()
    place.cosigning.keep_up()
    place.now += 60
    assert place.cosigning.fuse is Fuse.BLOWN
    place.ledger.close()
    place.open()
    assert place.cosigning.fuse is Fuse.WHOLE
    place.now += 60
    assert place.cosigning.fuse is Fuse.BLOWN


def test_an_idle_log_is_cosigned_again_each_minute_so_that_it_is_seen_to_be_newest() -> None:
    place = Place()
    place.append()
    place.cosigning.keep_up()
    before = place.witnesses[0].cosigned[:]
    place.now += 59
    assert not place.cosigning.keep_up()
    place.now += 1
    assert place.cosigning.keep_up()
    assert place.witnesses[0].cosigned == [*before, before[-1]]
    assert open_cosigned(place.files.read("checkpoint"), POLICY).checkpoint.size == 1


class FakeSource:
    """The page topic: hands out what is there, and ends the loop at the n-th look."""

    def __init__(self, pages: Sequence[PageMessage], stop: threading.Event, *, looks: int) -> None:
        self.pages, self._stop, self._looks, self.taken = list(pages), stop, looks, 0
        self.levels = 0

    def take(self, *, wait_s: float, gather_s: float) -> list[Taken]:  # noqa: ARG002
        self.taken += 1
        return [Taken(page=self.pages.pop(0), trace=None)] if self.pages else []

    def advance(self, position: int) -> None:
        """Nothing watches lag here."""

    def say_level(self, until: datetime) -> None:  # noqa: ARG002
        self.levels += 1

    def backlog(self) -> int:
        self._looks -= 1
        if self._looks <= 0:
            self._stop.set()
        return len(self.pages)


def test_no_page_is_taken_and_the_process_is_unready_while_the_fuse_is_blown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "RETRY_S", 0.0)
    monkeypatch.setattr(app, "SURVEY_S", 0.0)
    place, stop, health = Place(), threading.Event(), Health()
    recorder = FakeRecorder(RecorderId("a" * 32))
    pages = messages(*[recorder.write(decision()) for _ in range(3)], start=1)
    source: Any = FakeSource(pages, stop, looks=3)
    parts = Parts(
        source=source,
        sealer=Sealer(place.ledger, keys=PUBLIC_KEYS),
        cosigning=place.cosigning,
    )
    place.append()
    place.end_witnesses()
    place.cosigning.keep_up()
    place.now += 60
    Sealing(parts, health=health).run(stop, on_step=lambda _: None)
    assert (source.taken, len(source.pages)) == (0, 3)
    assert health.answer("/readyz") == (
        503,
        "text/plain",
        b"no quorum for 60 s: no pages are sealed\n",
    )
    stop.clear()
    place.end_witnesses("well")
    source._looks = 5
    place.now += 1
    Sealing(parts, health=health).run(stop, on_step=lambda _: None)
    assert not source.pages
    assert health.answer("/readyz")[0] == 200
    assert verify_ledger(place.files, POLICY).size == 1 + 3 * 2


def test_recorders_are_told_the_level_while_leaves_wait_but_not_behind_a_blown_fuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "RETRY_S", 0.0)
    monkeypatch.setattr(app, "SURVEY_S", 0.0)
    place, stop = Place(), threading.Event()
    place.append()
    place.end_witnesses()
    place.cosigning.keep_up()
    levels = list[int]()
    for _ in range(3):
        source: Any = FakeSource([], stop, looks=2)
        sealer = Sealer(place.ledger, keys=PUBLIC_KEYS)
        parts = Parts(source=source, sealer=sealer, cosigning=place.cosigning)
        Sealing(parts, health=Health()).run(stop, on_step=lambda _: None)
        stop.clear()
        levels.append(source.levels)
        place.now += 30
    assert levels == [2, 2, 0]


def settings(tmp_path: Path, **more: object) -> SealingSettings:
    document: dict[str, Any] = {
        "name": "sealing",
        "environment": "development",
        "bootstrap": "127.0.0.1:1",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "username": "x",
        "password_file": tmp_path / "x",
        "registry_url": "http://127.0.0.1:2",
        "health_port": 0,
        "ledger_dir": tmp_path,
        "log_key_file": tmp_path / "x",
        "origin": ORIGIN,
        "postgres_dsn_file": tmp_path / "x",
        "recorder_keys_file": tmp_path / "x",
        **more,
    }
    return SealingSettings(**document)


def test_a_policy_that_cannot_be_read_is_refused_when_sealing_starts(tmp_path: Path) -> None:
    assert settings(tmp_path).policy is None
    for content in (None, b"", b"quorum nobody\n"):
        file = tmp_path / "policy"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(InvalidSettings, match="policy"):
            _ = settings(tmp_path, witness_policy_file=file).policy


def test_sealing_may_wait_four_hours_and_no_longer(tmp_path: Path) -> None:
    assert settings(tmp_path, witness_stop_s=14_400).limits.stop_s == 14_400
    for wrong in (0, -1, 14_401):
        with pytest.raises(ValueError, match="witness_stop_s"):
            settings(tmp_path, witness_stop_s=wrong)
