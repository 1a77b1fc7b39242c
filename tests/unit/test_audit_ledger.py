"""The ledger's store: each call of the disk fails in turn, and the whole log is checked after."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random  # a seed repeats a crash; nothing secret

import pytest
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.durable import DurableFiles
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.sealed import decode_sealed, sealed_path
from civicbus_audit.tiles import ENTRIES, Tile
from civicbus_audit.verify import verify_ledger, verify_prefix
from civicbus_schemas.errors import (
    BusError,
    EvidenceBroken,
    Fenced,
    Refused,
    Stopped,
    TooLarge,
    Unavailable,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes.durable_files import FakeDurableFiles, Mode

ORIGIN = "civicbus.local/audit"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
LEAVES = [f"leaf {i}".encode() for i in range(900)]


def opened(files: DurableFiles) -> Ledger:
    return Ledger.open(Path("unused"), origin=ORIGIN, signer=SIGNER, files=files)


def append(ledger: Ledger, until: int) -> None:
    """Seals what is missing up to `until`, as the position says; a leaf's number is its offset."""
    new = LEAVES[ledger.position : until]
    sealed = [b"sealed " + leaf if i % 3 else b"" for i, leaf in enumerate(new, ledger.position)]
    ledger.append(new, sealed, position=until, memory={"until": until})


def check_whole_log_after_opening(files: FakeDurableFiles, *, sizes: set[int]) -> None:
    opened(files).close()
    check_whole_log(files, sizes=sizes)


def check_whole_log(files: FakeDurableFiles, *, sizes: set[int]) -> int:
    """Everything verifies, and the leaves are exactly the first ones of the source."""
    checkpoint = verify_ledger(files, SIGNER.verifier)
    assert checkpoint.size in sizes
    with opened(files) as ledger:
        assert ledger.position == checkpoint.size
        assert ledger.memory.get("until", 0) == checkpoint.size
        assert [leaf for _, leaf in ledger.log().leaves()] == LEAVES[: checkpoint.size]
    for bundle in range(-(-checkpoint.size // 256)):
        start = bundle * 256
        tile = Tile(level=ENTRIES, index=bundle, width=min(256, checkpoint.size - start))
        parts = decode_sealed(files.read(sealed_path(tile)), tile)
        assert (
            parts[1::3]
            == [
                b"sealed " + leaf if i % 3 else b""
                for i, leaf in enumerate(LEAVES[start : start + tile.width], start)
            ][1::3]
        )
    return checkpoint.size


@pytest.mark.parametrize("sizes", [(1,), (255, 256, 257), (300, 700), (256, 512), (3, 2 * 256 + 1)])
def test_the_log_verifies_when_it_grew_in_any_steps(sizes: tuple[int, ...]) -> None:
    files = FakeDurableFiles()
    notes = list[bytes]()
    with opened(files) as ledger:
        for size in sizes:
            append(ledger, size)
            notes.append(files.read("checkpoint"))
    assert check_whole_log(files, sizes={sizes[-1]}) == sizes[-1]
    for note in notes:
        verify_prefix(files, SIGNER.verifier, older=note)


def test_the_bytes_are_the_same_when_the_log_grew_in_other_steps() -> None:
    """Only partial tiles of published sizes and the state may differ; none is left once full."""
    ends = list[dict[str, bytes]]()
    for sizes in [(600,), (1, 255, 256, 599, 600)]:
        files = FakeDurableFiles()
        with opened(files) as ledger:
            for size in sizes:
                append(ledger, size)
        paths = [path for path in files.tile_paths() if path != "tile/entries/002.p/87"]
        ends.append({path: files.read(path) for path in paths if "002.p/87" not in path})
        assert not any("/000.p/" in path for path in paths if not path.startswith("tile/1/"))
    assert ends[0].items() <= ends[1].items()


def base() -> FakeDurableFiles:
    files = FakeDurableFiles()
    with opened(files) as ledger:
        append(ledger, 200)
        append(ledger, 250)
    files.calls.clear()
    return files


@pytest.mark.parametrize("mode", ["lost", "persisted", "torn"])
@pytest.mark.parametrize("seed", [None, 1])
def test_no_leaf_is_lost_or_doubled_when_any_call_fails_and_the_power_goes(
    mode: Mode, seed: int | None
) -> None:
    """Fails each call of an append in turn, crashes, checks, and goes on to the end."""
    start, failures = base(), 0
    for call in range(1, 200):
        files = start.copy()
        with opened(files) as ledger:
            files.fail_at, files.mode = call, mode
            try:
                append(ledger, 260)
            except Stopped:
                failures += 1
            else:
                break
            with pytest.raises(Stopped):
                append(ledger, 260)
        files.crash(Random(seed) if seed else None)  # noqa: S311
        with opened(files) as ledger:
            assert ledger.position in {250, 260}
        check_whole_log(files, sizes={250, 260})
        with opened(files) as ledger:
            append(ledger, 261)
        check_whole_log(files, sizes={261})
    assert failures > 25


@pytest.mark.parametrize("mode", ["lost", "persisted", "torn"])
def test_a_second_opening_finishes_when_the_first_one_fails_at_any_call(mode: Mode) -> None:
    crashed = base()
    ledger = opened(crashed)
    crashed.fail_at = 46  # among the renames that follow the commit
    with pytest.raises(Stopped):
        append(ledger, 600)
    crashed.crash(Random(46))  # noqa: S311
    for call in range(1, 100):
        files = crashed.copy()
        files.fail_at, files.mode = call, mode
        try:
            opened(files).close()
        except Stopped:
            files.crash(Random(call))  # noqa: S311
            check_whole_log_after_opening(files, sizes={600})
        else:
            break
    assert call > 20


@pytest.mark.parametrize("mode", ["lost", "persisted", "torn"])
def test_a_new_ledger_opens_when_making_it_failed_at_any_call(mode: Mode) -> None:
    for call in range(1, 20):
        files = FakeDurableFiles()
        files.fail_at, files.mode = call, mode
        try:
            opened(files).close()
        except Stopped:
            files.crash()
            opened(files).close()
        check_whole_log(files, sizes={0})


def test_nothing_is_signed_before_it_is_synced_when_leaves_are_appended() -> None:
    files = base()
    with opened(files) as ledger:
        files.calls.clear()
        append(ledger, 600)
    calls = files.calls
    signed = calls.index("write checkpoint.new")
    committed = calls.index("rename state.json")
    for path in ["tile/entries/001", "tile/0/001", "tile/1/000.p/2", "sealed/001"]:
        moved = calls.index(f"rename {path}")
        assert committed < moved < calls.index(f"sync {Path(path).parent}", moved) < signed
    staged = [i for i, call in enumerate(calls) if call.startswith("write staging/")]
    assert max(staged) < calls.index("sync staging") < calls.index("write state.json.new")


def test_partial_tiles_stay_when_and_until_the_full_one_is_published() -> None:
    files = base()
    assert {"tile/0/000.p/200", "tile/0/000.p/250", "tile/entries/000.p/200"} <= set(files.paths())
    with opened(files) as ledger:
        append(ledger, 260)
    assert not [path for path in files.paths() if "000.p" in path and "tile/1/" not in path]


def test_the_second_writer_is_refused_when_the_ledger_is_open(tmp_path: Path) -> None:
    with (
        Ledger.open(tmp_path, origin=ORIGIN, signer=SIGNER),
        pytest.raises(Fenced),
    ):
        Ledger.open(tmp_path, origin=ORIGIN, signer=SIGNER)
    Ledger.open(tmp_path, origin=ORIGIN, signer=SIGNER).close()


def test_a_stale_writer_is_refused_when_its_lock_was_lost() -> None:
    files = base()
    stale = opened(files)
    files.close()  # as a lock on a network file system may be
    with opened(files) as successor:
        append(successor, 300)
    with pytest.raises(Fenced):
        append(stale, 301)
    stale.close()
    check_whole_log(files, sizes={300})


def test_only_the_position_moves_when_there_are_no_leaves() -> None:
    files = base()
    with opened(files) as ledger:
        before = ledger.checkpoint
        assert ledger.append([], [], position=999, memory={"x": 1}) == before
    with opened(files) as ledger:
        assert (ledger.position, ledger.memory) == (999, {"x": 1})
        with pytest.raises(Refused):
            ledger.append([], [], position=998)


def flip(files: FakeDurableFiles, path: str) -> None:
    data = bytearray(files.read(path))
    data[len(data) // 2] ^= 1
    files.write(path, bytes(data))


@pytest.mark.parametrize("path", ["tile/entries/000.p/250", "tile/0/000.p/250", "checkpoint"])
def test_the_ledger_does_not_open_when_its_edge_was_tampered_with(path: str) -> None:
    files = base()
    flip(files, path)
    with pytest.raises(BusError):
        opened(files)


def test_nothing_is_signed_when_a_staged_byte_flips_before_it_is_read_back() -> None:
    class Flipping(FakeDurableFiles):
        def write(self, path: str, data: bytes) -> None:
            if path.endswith("tile,entries,000.p,9"):
                data = data[:-1] + b"?"
            super().write(path, data)

    files = Flipping()
    with opened(files) as ledger, pytest.raises(EvidenceBroken, match="leaf 8 in"):
        append(ledger, 9)
    check_whole_log(files, sizes={0})


def test_the_ledger_does_not_open_when_its_state_was_rolled_back() -> None:
    files = base()
    old = files.read("state.json")
    with opened(files) as ledger:
        append(ledger, 260)
    files.write("state.json", old)
    with pytest.raises(BusError):
        opened(files)


@pytest.mark.parametrize("path", ["state.json", "checkpoint"])
def test_the_ledger_does_not_open_when_a_part_is_missing(path: str) -> None:
    files = base()
    files.remove(path)
    with pytest.raises(Stopped, match="missing"):
        opened(files)


def test_the_ledger_does_not_open_when_its_state_cannot_be_read() -> None:
    for content in [b"", b"{}", b"[]", json.dumps({"version": 1, "root": "x"}).encode()]:
        files = base()
        files.write("state.json", content)
        with pytest.raises(EvidenceBroken):
            opened(files)


def test_another_log_s_directory_is_refused_when_it_is_opened() -> None:
    files = base()
    other = Signer("elsewhere", Ed25519PrivateKey.generate())
    with pytest.raises(Refused):
        Ledger.open(Path("x"), origin="elsewhere", signer=other, files=files)


def test_a_leaf_is_refused_when_it_is_too_long() -> None:
    files = base()
    with opened(files) as ledger, pytest.raises(TooLarge):
        ledger.append([bytes(65_536)], [b""], position=251)
    check_whole_log(files, sizes={250})


def test_the_ledger_on_a_real_disk_verifies_when_it_grew(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, origin=ORIGIN, signer=SIGNER) as ledger:
        append(ledger, 300)
        append(ledger, 900)
        proof = ledger.log().prove(299, checkpoint=(tmp_path / "checkpoint").read_bytes())
        assert proof.extra == LEAVES[299]
    directory = LedgerDirectory(tmp_path)
    assert verify_ledger(directory, SIGNER.verifier).size == 900
    (tmp_path / "tile/stray").touch()
    with pytest.raises(EvidenceBroken, match="stray"):
        verify_ledger(directory, SIGNER.verifier)


def test_a_ledger_whose_tiles_cannot_be_listed_is_not_taken_for_one_without_strays(
    tmp_path: Path,
) -> None:
    (tmp_path / "checkpoint").touch()
    directory = LedgerDirectory(tmp_path)
    assert list(directory.tile_paths()) == []
    (tmp_path / "tile").write_text("no folder")
    with pytest.raises(Unavailable, match=r"cannot be listed; got Not a directory"):
        list(directory.tile_paths())
