"""Verification of a ledger on disk: it holds when clean, and each tampering is found and named."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from civicbus_audit import verify
from civicbus_audit.checkpoint import Checkpoint, sign_checkpoint
from civicbus_audit.crew import Crew, crew_of
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.ledger import Ledger
from civicbus_audit.merkle import leaf_hash
from civicbus_audit.note import Signer
from civicbus_audit.proof import format_proof, parse_proof
from civicbus_audit.verify import verify_ledger, verify_prefix, verify_proof
from civicbus_schemas.errors import BusError, EvidenceBroken, InvalidBytes, Refused, Unavailable
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "civicbus.local/audit"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
LEAVES = [f"leaf {i}".encode() for i in range(800)]
OLDER = (1, 255, 256, 257, 600, 790)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of 800 leaves, and its older checkpoints beside it."""
    home = tmp_path_factory.mktemp("ledger")
    with Ledger.open(home / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
        for start, end in zip((0, *OLDER), (*OLDER, 800), strict=True):
            ledger.append(LEAVES[start:end], [b""] * (end - start), position=end)
            shutil.copy(home / "ledger/checkpoint", home / f"checkpoint-{end}")
    return home


@pytest.fixture
def home(clean: Path, tmp_path: Path) -> Path:
    """A copy that a test may tamper with."""
    return shutil.copytree(clean, tmp_path / "copy")


def test_everything_holds_when_nothing_was_touched(clean: Path) -> None:
    directory = LedgerDirectory(clean / "ledger")
    counted = list[int]()
    assert verify_ledger(directory, SIGNER.verifier, on_progress=counted.append).size == 800
    assert counted == [256, 512, 768, 800, 1600]
    for size in (*OLDER, 800):
        older = (clean / f"checkpoint-{size}").read_bytes()
        assert verify_prefix(directory, SIGNER.verifier, older=older).size == size


def _flip(path: Path, at: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def _swap_leaves(ledger: Path) -> None:
    path = ledger / "tile/entries/000"
    path.write_bytes(
        path.read_bytes().replace(b"leaf 11", b"leaf xx").replace(b"leaf 12", b"leaf 11")
    )


def _rewrite_leaf_and_tile(ledger: Path) -> None:
    """An insider who changes a leaf and its hash, but not the tile above."""
    bundle, tile = ledger / "tile/entries/001", ledger / "tile/0/001"
    bundle.write_bytes(bundle.read_bytes().replace(b"leaf 300", b"leaf 3oo"))
    old, new = leaf_hash(b"leaf 300"), leaf_hash(b"leaf 3oo")
    tile.write_bytes(tile.read_bytes().replace(old, new))


def _sign(ledger: Path, *, size: int, key: bytes) -> None:
    signer = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(key))
    note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=bytes(32)), signer)
    (ledger / "checkpoint").write_bytes(note)


TAMPERINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "leaf-changed": (lambda d: _flip(d / "tile/entries/002", 9), "leaf 512 in tile/entries/002"),
    "leaf-in-partial-bundle-changed": (
        lambda d: _flip(d / "tile/entries/003.p/32"),
        "leaf 799 in tile/entries/003.p/32",
    ),
    "leaves-reordered": (_swap_leaves, "leaf 11 in tile/entries/000"),
    "leaf-cut": (
        lambda d: (d / "tile/entries/001").write_bytes((d / "tile/entries/001").read_bytes()[:-10]),
        "tile/entries/001 cannot be read",
    ),
    "bundle-missing": (lambda d: (d / "tile/entries/001").unlink(), "tile/entries/001 is missing"),
    "bundle-of-another-index": (
        lambda d: shutil.copy(d / "tile/entries/001", d / "tile/entries/000"),
        "leaf 0 in tile/entries/000",
    ),
    "leaf-and-hash-changed": (_rewrite_leaf_and_tile, "tile/0/001 is not the tile that hash 1"),
    "hash-changed": (lambda d: _flip(d / "tile/0/000", 0), "leaf 0 in tile/entries/000"),
    "hash-in-partial-tile-changed": (lambda d: _flip(d / "tile/0/003.p/32"), "leaf 799 in"),
    "tile-cut": (
        lambda d: (d / "tile/0/001").write_bytes(bytes(8191)),
        "tile/0/001 has the wrong length",
    ),
    "tile-above-changed": (lambda d: _flip(d / "tile/1/000.p/3"), "tile/0/002 is not the tile"),
    "tile-missing": (lambda d: (d / "tile/1/000.p/3").unlink(), "tile/1/000.p/3 is missing"),
    "superseded-bundle-changed": (
        lambda d: _flip(d / "tile/entries/003.p/22"),
        "tile/entries/003.p/22 is not the beginning of tile/entries/003.p/32",
    ),
    "checkpoint-changed": (
        lambda d: _flip(d / "checkpoint", len(ORIGIN) + 1),
        "signature by 'civicbus.local/audit' is wrong",
    ),
    "checkpoint-of-another-root": (
        lambda d: _sign(d, size=800, key=bytes(32)),
        "do not lead to the signed root of size 800",
    ),
    "checkpoint-by-another-key": (
        lambda d: _sign(d, size=800, key=bytes(31) + b"\x01"),
        "no known key signed",
    ),
    "checkpoint-of-more-leaves": (lambda d: _sign(d, size=801, key=bytes(32)), "is missing"),
    "checkpoint-rolled-back": (
        lambda d: shutil.copy(d.parent / "checkpoint-600", d / "checkpoint"),
        "lies beyond the checkpoint",
    ),
    "stray-file": (lambda d: (d / "tile/0/notes.txt").touch(), "does not belong into a ledger"),
}


@pytest.fixture(scope="module", params=[1, 2], ids=["alone", "divided"])
def crew(request: pytest.FixtureRequest) -> Iterator[Crew]:
    """This process, or two others."""
    with crew_of(request.param) as crew:
        yield crew


@pytest.mark.parametrize(("tamper", "named"), TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_verification_names_what_and_where_when_the_ledger_was_tampered_with(
    home: Path,
    crew: Crew,
    tamper: Callable[[Path], object],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verify, "_PUBLISHING_S", 0.0)  # nobody is sealing
    tamper(home / "ledger")
    with pytest.raises((EvidenceBroken, InvalidBytes)) as broken:
        verify_ledger(LedgerDirectory(home / "ledger"), SIGNER.verifier, crew=crew)
    assert named in str(broken.value)


def test_a_rewritten_history_is_found_when_an_older_checkpoint_was_kept(
    clean: Path, tmp_path: Path
) -> None:
    """The operator with the log's key rewrites a leaf and everything above: all of it verifies,
    and the older checkpoint in other hands does not."""
    rewritten = [*LEAVES[:10], b"leaf ten", *LEAVES[11:]]
    with Ledger.open(tmp_path / "other", origin=ORIGIN, signer=SIGNER) as ledger:
        ledger.append(rewritten, [b""] * 800, position=800)
    directory = LedgerDirectory(tmp_path / "other")
    assert verify_ledger(directory, SIGNER.verifier).size == 800
    for size in OLDER[1:]:
        older = (clean / f"checkpoint-{size}").read_bytes()
        with pytest.raises(EvidenceBroken):
            verify_prefix(directory, SIGNER.verifier, older=older)


def test_a_shorter_ledger_is_found_when_an_older_checkpoint_was_kept(
    clean: Path, tmp_path: Path
) -> None:
    with Ledger.open(tmp_path / "short", origin=ORIGIN, signer=SIGNER) as ledger:
        ledger.append(LEAVES[:10], [b""] * 10, position=10)
    older = (clean / "checkpoint-600").read_bytes()
    with pytest.raises(EvidenceBroken, match="shorter than the older checkpoint"):
        verify_prefix(LedgerDirectory(tmp_path / "short"), SIGNER.verifier, older=older)


def test_everything_holds_when_sealing_goes_on_meanwhile(home: Path) -> None:
    class Growing(LedgerDirectory):
        """Grows over a tile's end when its tiles are listed for the second time."""

        listed = 0

        def tile_paths(self) -> Iterator[str]:
            Growing.listed += 1
            if Growing.listed == 2:
                self._grow()
            return iter(sorted(super().tile_paths()))

        def _grow(self) -> None:
            with Ledger.open(home / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
                more = [b"more"] * 150
                ledger.append(more, [b""] * len(more), position=ledger.position + 1)

    assert verify_ledger(Growing(home / "ledger"), SIGNER.verifier).size == 800


@pytest.mark.parametrize("index", [0, 255, 256, 511, 768, 799])
def test_a_proof_holds_for_its_leaf_and_no_other_when_it_was_exported(
    home: Path, index: int
) -> None:
    with Ledger.open(home / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
        note = (home / "ledger/checkpoint").read_bytes()
        data = format_proof(ledger.log().prove(index, checkpoint=note))
    proved = verify_proof(data, SIGNER.verifier)
    assert (proved.leaf, proved.index, proved.checkpoint.size) == (LEAVES[index], index, 800)
    assert verify_proof(data, SIGNER.verifier, leaf=LEAVES[index]) == proved
    with pytest.raises(EvidenceBroken):
        verify_proof(data, SIGNER.verifier, leaf=b"leaf")
    stranger = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x01"))
    with pytest.raises(EvidenceBroken):
        verify_proof(data, stranger.verifier)


def test_a_proof_is_refused_when_any_one_byte_of_it_changes(home: Path) -> None:
    with Ledger.open(home / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
        note = (home / "ledger/checkpoint").read_bytes()
        data = format_proof(ledger.log().prove(300, checkpoint=note))
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises((EvidenceBroken, InvalidBytes)):
            verify_proof(changed, SIGNER.verifier)


def test_a_proof_without_its_leaf_is_refused_when_no_leaf_is_given(home: Path) -> None:
    with Ledger.open(home / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
        proof = ledger.log().prove(3, checkpoint=(home / "ledger/checkpoint").read_bytes())
    bare = parse_proof(format_proof(proof).replace(b"extra " + b"bGVhZiAz" + b"\n", b""))
    assert bare.extra is None
    with pytest.raises(Refused):
        verify_proof(format_proof(bare), SIGNER.verifier)


def test_a_folder_without_a_ledger_is_refused_when_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="there is no ledger"):
        LedgerDirectory(tmp_path)


def test_every_single_byte_matters_when_it_flips(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l", origin=ORIGIN, signer=SIGNER) as ledger:
        ledger.append(LEAVES[:5], [b""] * 5, position=5)
    directory = LedgerDirectory(tmp_path / "l")
    for name in ["checkpoint", *directory.tile_paths()]:
        path = tmp_path / "l" / name
        data = path.read_bytes()
        for place in range(len(data)):
            _flip(path, place)
            with pytest.raises(BusError):
                verify_ledger(directory, SIGNER.verifier)
            path.write_bytes(data)
    assert verify_ledger(directory, SIGNER.verifier).size == 5
