"""Hash tiles are made anew from entries that lead to the signed root, and from no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.restoring import repair_tiles
from civicbus_audit.verify import verify_ledger
from civicbus_schemas.errors import EvidenceBroken, Fenced
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "civicbus.local/audit"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
SIZES = (1, 255, 256, 300, 700)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger that grew through these sizes."""
    with Ledger.open(tmp_path / "ledger", origin=ORIGIN, signer=SIGNER) as grown:
        for start, end in zip((0, *SIZES), SIZES, strict=False):
            leaves = [f"leaf {i}".encode() for i in range(start, end)]
            grown.append(leaves, [b""] * len(leaves), position=end)
    return tmp_path / "ledger"


def contents(ledger: Path) -> dict[str, bytes]:
    directory = LedgerDirectory(ledger)
    return {path: directory.read(path) for path in directory.tile_paths()}


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[7] ^= 1
    file.write_bytes(bytes(data))


def repair(ledger: Path) -> list[str]:
    return repair_tiles(ledger, trust=SIGNER.verifier)


def test_nothing_is_written_when_every_tile_is_right(ledger: Path) -> None:
    before = contents(ledger)
    assert repair(ledger) == []
    assert contents(ledger) == before


@pytest.mark.parametrize("damage", [flip, lambda file: file.write_bytes(b"")])
def test_each_hash_tile_is_made_anew_when_it_is_wrong(
    ledger: Path, damage: Callable[[Path], object]
) -> None:
    before = contents(ledger)
    tiles = [path for path in before if not path.startswith("tile/entries/")]
    assert len(tiles) > 3
    for path in tiles:
        damage(ledger / path)
        assert repair(ledger) == [path]
        assert contents(ledger) == before


def test_missing_tiles_are_made_anew_when_the_tree_of_today_needs_them(ledger: Path) -> None:
    before = contents(ledger)
    needed = ("tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2")
    for path in needed:
        (ledger / path).unlink()
    assert sorted(repair(ledger)) == sorted(needed)
    assert contents(ledger) == before
    assert verify_ledger(LedgerDirectory(ledger), SIGNER.verifier).size == SIZES[-1]


def test_nothing_is_repaired_when_an_entry_was_changed(ledger: Path) -> None:
    bundle = ledger / "tile/entries/001"
    bundle.write_bytes(bundle.read_bytes().replace(b"leaf 300", b"leaf 3oo"))
    flip(ledger / "tile/0/001")
    before = contents(ledger)
    with pytest.raises(EvidenceBroken, match="nothing was repaired"):
        repair(ledger)
    assert contents(ledger) == before


def test_repairing_is_refused_when_sealing_runs(ledger: Path) -> None:
    with Ledger.open(ledger, origin=ORIGIN, signer=SIGNER), pytest.raises(Fenced):
        repair(ledger)
