"""A mirror cosigns only what it holds and has counted itself, whatever the log or its disk do."""

from __future__ import annotations

from pathlib import Path
from random import Random  # a seed repeats a crash; nothing secret

import pytest
from civicbus_audit.durable import DurableFiles
from civicbus_audit.ledger import Ledger
from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import verify_ledger
from civicbus_audit.witness import mirror as module
from civicbus_audit.witness.mirror import Mirror
from civicbus_audit.witness.rules import Submitted
from civicbus_schemas.errors import BusError, EvidenceBroken, Unavailable

from tests.fakes.durable_files import FakeDurableFiles, Mode
from tests.fakes.witnesses import HONEST, LOG, ORIGIN, FakeLog
from tests.unit.completeness_samples import COMMIT, reading, sample_log


class Source:
    """A log's disk, and a mirror that reads it."""

    def __init__(self, history: FakeLog = HONEST) -> None:
        self.history = history
        self.log, self.files = FakeDurableFiles(), FakeDurableFiles()
        self.mirror = self.opened()

    def opened(self, files: DurableFiles | None = None) -> Mirror:
        return Mirror(files or self.files, self.fetch, log=LOG.verifier)

    def fetch(self, path: str) -> bytes:
        return self.log.read(path)

    def grow(self, size: int) -> Submitted:
        """The log's next checkpoint, as a witness is given it."""
        with Ledger.open(Path("x"), origin=ORIGIN, signer=LOG, files=self.log) as ledger:
            new = self.history.leaves[ledger.position : size]
            ledger.append(new, [b"sealed"] * len(new), position=size)
        return submitted(size, self.history)

    def check(self, size: int, files: FakeDurableFiles | None = None) -> None:
        files = files or self.files
        assert verify_ledger(files, LOG.verifier).size == size
        leaves = [leaf for _, leaf in StoredLog(files.read, size).leaves()]
        assert leaves == self.history.leaves[:size]
        assert not [path for path in files.paths() if path.startswith("sealed")]


def submitted(size: int, history: FakeLog = HONEST) -> Submitted:
    checkpoint = history.checkpoint(size)
    return Submitted(checkpoint=checkpoint, text=checkpoint.text, note=history.note(size))


@pytest.mark.parametrize("step", [256, 64 * 256])
def test_the_copy_is_a_ledger_when_the_log_grows(
    monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(module, "_STEP", step)
    source = Source()
    source.mirror.copy(source.grow(0))
    for size in (5, 250, 257, 257, 512, 700):
        source.mirror.copy(source.grow(size))
        source.check(size)
    source.files.close()
    source.mirror = source.opened()
    assert source.mirror.size == 700


def test_everything_is_fetched_when_the_mirror_begins_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STEP", 256)
    source = Source()
    source.mirror.copy(source.grow(700))
    source.check(700)


def test_an_older_checkpoint_is_held_against_the_copy_when_it_comes_again() -> None:
    source = Source()
    source.mirror.copy(source.grow(300))
    source.mirror.copy(submitted(200))
    other = Submitted(
        checkpoint=HONEST.checkpoint(200).__class__(origin=ORIGIN, size=200, root=bytes(32)),
        text="",
        note=b"",
    )
    with pytest.raises(EvidenceBroken):
        source.mirror.copy(other)


@pytest.mark.parametrize("path", ["tile/entries/000", "tile/entries/001.p/44"])
def test_nothing_is_kept_when_a_leaf_differs_at_the_source(path: str) -> None:
    source = Source()
    source.mirror.copy(source.grow(200))
    wanted = source.grow(300)
    data = bytearray(source.log.read(path))
    data[-1] ^= 1
    source.log.write(path, bytes(data))
    with pytest.raises(EvidenceBroken, match="root of size 300"):
        source.mirror.copy(wanted)
    source.check(200)
    data[-1] ^= 1
    source.log.write(path, bytes(data))
    source.mirror.copy(wanted)
    source.check(300)


def test_nothing_is_cosigned_when_leaves_are_missing_at_the_source() -> None:
    source = Source()
    wanted = source.grow(300)
    source.log.remove("tile/entries/000")
    with pytest.raises(EvidenceBroken, match="tile/entries/000 is missing"):
        source.mirror.copy(wanted)
    assert source.mirror.size == 0


@pytest.mark.parametrize("mode", ["lost", "persisted", "torn"])
def test_the_copy_goes_on_when_any_call_fails_and_the_power_goes(mode: Mode) -> None:
    source, failures = Source(), 0
    source.mirror.copy(source.grow(250))
    source.files.close()
    wanted, after = source.grow(300), None
    for call in range(1, 100):
        files = source.files.copy()
        mirror = source.opened(files)
        files.fail_at, files.mode = call, mode
        try:
            mirror.copy(wanted)
        except Unavailable:
            failures += 1
        else:
            if files.fail_at > 0:
                break
        files.crash(Random(call))  # noqa: S311
        mirror = source.opened(files)
        assert mirror.size in {250, 300}
        after = after or source.grow(310)
        mirror.copy(after)
        source.check(310, files)
    assert failures > 15


@pytest.mark.parametrize("path", ["tile/entries/000", "tile/0/001.p/44", "checkpoint"])
def test_the_mirror_does_not_start_when_its_copy_was_changed(path: str) -> None:
    source = Source()
    source.mirror.copy(source.grow(300))
    source.files.close()
    data = bytearray(source.files.read(path))
    data[len(data) // 2] ^= 1
    source.files.write(path, bytes(data))
    with pytest.raises(BusError):
        source.opened()


def test_a_second_copy_is_put_off_when_one_is_under_way() -> None:
    source = Source()
    first, second = source.grow(10), source.grow(20)

    def fetch_meanwhile(path: str) -> bytes:
        with pytest.raises(Unavailable):
            source.mirror.copy(second)
        return source.log.read(path)

    source.mirror = Mirror(FakeDurableFiles(), fetch_meanwhile, log=LOG.verifier)
    source.mirror.copy(first)
    assert source.mirror.size == 10


COMMITTED = FakeLog(
    list(
        sample_log(
            *(reading(n % 7) for n in range(130)), COMMIT,
            *(reading(n % 9) for n in range(130)), COMMIT,
            *(reading(n % 5) for n in range(40)), COMMIT, reading(1),
        ).leaves
    )
)  # fmt: skip


def test_index_commits_are_made_again_when_they_come_with_one_copy_or_with_several() -> None:
    for sizes in [(304,), (100, 131, 150, 262, 303, 304)]:
        source = Source(COMMITTED)
        for size in sizes:
            source.mirror.copy(source.grow(size))
        source.check(304)
        source.files.close()
        assert source.opened().size == 304


@pytest.mark.parametrize("begun", [1, 100, 200])
def test_nothing_is_cosigned_when_an_index_commit_hides_a_reading(begun: int) -> None:
    """The log's own key signs it, and every leaf leads to its root."""
    hiding = sample_log(*(reading(n % 9) for n in range(129)), COMMIT).leaves[-1]
    forged = FakeLog([*COMMITTED.leaves[:261], hiding, *COMMITTED.leaves[262:]])
    source = Source(forged)
    source.mirror.copy(source.grow(begun))
    with pytest.raises(EvidenceBroken, match="index commit in leaf 261"):
        source.mirror.copy(source.grow(300))
    source.check(begun)
    honest = Source(COMMITTED)  # as if the log were made anew without the lie
    source.log, source.history = honest.log, COMMITTED
    source.mirror.copy(source.grow(300))
    source.check(300)
