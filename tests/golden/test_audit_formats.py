"""Notes, checkpoints, tiles and proofs: the examples of C2SP, and each tampering by its name."""

from __future__ import annotations

import base64

import pytest
from civicbus_audit import tiles
from civicbus_audit.checkpoint import (
    Checkpoint,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from civicbus_audit.merkle import EMPTY_ROOT
from civicbus_audit.note import Signer, Verifier, open_note, parse_note
from civicbus_audit.proof import LogProof, format_proof, parse_proof
from civicbus_audit.tiles import Tile
from civicbus_schemas.errors import EvidenceBroken, InvalidBytes, Refused, TooLarge
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# The example of C2SP signed-note.md.
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2"
    "ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
SIGNER = Signer("civicbus.local/audit", Ed25519PrivateKey.from_private_bytes(bytes(32)))
CHECKPOINT = sign_checkpoint(
    Checkpoint(origin="civicbus.local/audit", size=0, root=EMPTY_ROOT), SIGNER
)
EMPTY = base64.b64encode(EMPTY_ROOT).decode()


def test_the_specification_s_note_opens_when_its_key_is_known() -> None:
    assert open_note(EXAMPLE, Verifier.parse(EXAMPLE_KEY)) == "This is an example message.\n"
    assert str(Verifier.parse(EXAMPLE_KEY)) == EXAMPLE_KEY


def test_the_bytes_stay_the_same_when_a_checkpoint_is_signed_again() -> None:
    assert str(SIGNER.verifier) == (
        "civicbus.local/audit+cff93e97+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
    )
    assert CHECKPOINT.decode() == (
        f"civicbus.local/audit\n0\n{EMPTY}\n\n"
        "— civicbus.local/audit z/k+l0+eP1gBPEuh3wPhZaBjxEspMQOLET+"
        "5VfEP5/nPdRBNT0B8z+lj7SbX9GpduSa09iVbidnx+IgDkc0apvhQ/Q0=\n"
    )


def test_unknown_signatures_are_ignored_when_a_known_key_signed() -> None:
    stranger = b"\xe2\x80\x94 witness.example " + base64.b64encode(bytes(76)) + b"\n"
    assert open_checkpoint(CHECKPOINT + stranger * 99, SIGNER.verifier).size == 0


LINE = CHECKPOINT.decode().splitlines(keepends=True)[-1]


@pytest.mark.parametrize(
    "note",
    [
        pytest.param(CHECKPOINT + LINE.encode() * 100, id="signature-101"),
        pytest.param(CHECKPOINT.partition(b"\n\n")[0] + b"\n\n", id="signature-missing"),
        pytest.param(CHECKPOINT.replace(b"\n\n", b"\n"), id="separator-missing"),
        pytest.param(CHECKPOINT[:-1], id="final-newline-missing"),
        pytest.param(CHECKPOINT.replace(b"\n0\n", b"\r\n0\n"), id="carriage-return"),
        pytest.param(b"\x00" + CHECKPOINT, id="control-character"),
        pytest.param(b"\xff" + CHECKPOINT, id="not-utf-8"),
        pytest.param(CHECKPOINT.replace("— ".encode(), b"- "), id="dash-is-a-hyphen"),
        pytest.param(CHECKPOINT.replace("— ".encode(), "—  ".encode()), id="two-spaces"),
        pytest.param(CHECKPOINT.replace(b"Q0=\n", b"Q0\n"), id="base64-unpadded"),
        pytest.param(CHECKPOINT.replace(b"Q0=\n", b"Q1=\n"), id="base64-padding-bits"),
        pytest.param(CHECKPOINT.replace(b"P5/nPd", b"P5_nPd"), id="base64-other-alphabet"),
        pytest.param(CHECKPOINT.replace(b"P5/nPd", b"P5 nPd"), id="base64-with-space"),
        pytest.param(
            CHECKPOINT.partition(b"\xe2")[0] + "— a AAAAAA==\n".encode(), id="signature-too-short"
        ),
        pytest.param(
            CHECKPOINT.replace("— civicbus".encode(), "— c+vicbus".encode()), id="name-with-plus"
        ),
        pytest.param(
            CHECKPOINT.replace("— civ".encode(), "— c\u00a0v".encode()), id="name-with-nbsp"
        ),
        pytest.param(b"x" * 1_000_001 + CHECKPOINT, id="too-long"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_note_is_refused_when_its_form_is_tampered(note: bytes) -> None:
    with pytest.raises(InvalidBytes):
        parse_note(note)


@pytest.mark.parametrize(
    "note",
    [
        pytest.param(CHECKPOINT.replace(b"P5/nPd", b"P5/oPd"), id="signature-flipped"),
        pytest.param(CHECKPOINT.replace(b"\n0\n", b"\n1\n"), id="text-changed"),
        pytest.param(
            CHECKPOINT + LINE.replace("P5/nPd", "P5/oPd").encode(),
            id="known-key-signs-twice-once-wrong",
        ),
        pytest.param(CHECKPOINT.replace(b" z/k+", b" y/k+"), id="key-id-changed"),
        pytest.param(CHECKPOINT.replace("— civ".encode(), "— Civ".encode()), id="key-name-changed"),
        pytest.param(EXAMPLE, id="signed-by-another"),
    ],
)
def test_a_note_is_refused_when_no_known_key_vouches_for_it(note: bytes) -> None:
    with pytest.raises(EvidenceBroken):
        open_note(note, SIGNER.verifier)


@pytest.mark.parametrize(
    "size", [" 10", "+10", "010", "-5", "1_0", "1e3", "10 ", "٣", "00", "9" * 19, "9" * 20, "0x1"]
)
def test_a_checkpoint_is_refused_when_its_size_is_not_canonical(size: str) -> None:
    with pytest.raises(InvalidBytes):
        parse_checkpoint(f"origin\n{size}\n{EMPTY}\n")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"origin\n1\n{base64.b64encode(bytes(31)).decode()}\n", id="root-31-bytes"),
        pytest.param(f"origin\n1\n{base64.b64encode(bytes(33)).decode()}\n", id="root-33-bytes"),
        pytest.param("origin\n1\n!!!!\n", id="root-not-base64"),
        pytest.param("origin\n1\n", id="root-missing"),
        pytest.param(f"\n0\n{EMPTY}\n", id="origin-empty"),
        pytest.param(f"origin\n0\n{EMPTY}\n\nlater\n", id="extension-empty"),
        pytest.param(f"origin\n0\n{EMPTY}", id="newline-missing"),
    ],
)
def test_a_checkpoint_is_refused_when_its_text_is_tampered(text: str) -> None:
    with pytest.raises(InvalidBytes):
        parse_checkpoint(text)


def test_a_checkpoint_is_broken_when_nothing_has_another_root() -> None:
    with pytest.raises(EvidenceBroken):
        parse_checkpoint(f"origin\n0\n{base64.b64encode(bytes(32)).decode()}\n")


def test_a_checkpoint_is_refused_when_it_is_of_another_log() -> None:
    note = SIGNER.sign(f"elsewhere.example/log\n0\n{EMPTY}\n")
    with pytest.raises(EvidenceBroken, match="another log"):
        open_checkpoint(note, SIGNER.verifier)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+00000000",
        EXAMPLE_KEY.replace("530d903a", "530D903A"),
        EXAMPLE_KEY.replace("530d903a", "530d903b"),
        EXAMPLE_KEY.replace("+Aek", "+Bek"),
        EXAMPLE_KEY[:-4],
        " " + EXAMPLE_KEY,
    ],
)
def test_a_verifier_key_is_refused_when_it_is_malformed(vkey: str) -> None:
    with pytest.raises(InvalidBytes):
        Verifier.parse(vkey)


def test_the_specification_s_tiles_exist_when_the_tree_has_70000_leaves() -> None:
    all_ = list(tiles.changed_tiles(0, 70_000))
    assert len([t for t in all_ if t.level == 0 and not t.partial]) == 273
    assert [t.path for t in all_ if t.partial or t.level != 0] == [
        "tile/0/273.p/112",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ]
    assert [t.path for t in tiles.changed_tiles(0, 256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert Tile(level=0, index=1_234_067).path == "tile/0/x001/x234/067"


@pytest.mark.parametrize(
    "path",
    [
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/0",
        "tile/0/x000/000",
        "tile/0/x001/1",
        "tile/0/001/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/../000",
        "tile/entries/٠٠٠",
    ],
)
def test_a_tile_s_path_is_refused_when_it_is_not_canonical(path: str) -> None:
    with pytest.raises(InvalidBytes):
        Tile.parse(path)


def test_a_leaf_is_refused_when_no_bundle_can_hold_it() -> None:
    tiles.encode_bundle([bytes(65_535)])
    with pytest.raises(TooLarge):
        tiles.encode_bundle([bytes(65_536)])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x00\x01a", id="entry-dropped"),
        pytest.param(b"\x00\x01a\x00\x01b\x00\x01c", id="entry-added"),
        pytest.param(b"\x00\x01a\x00\x01b\x00", id="byte-left-over"),
        pytest.param(b"\x00\x01a\x00\x02b", id="last-entry-cut"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_bundle_is_refused_when_it_is_tampered(data: bytes) -> None:
    with pytest.raises(InvalidBytes):
        tiles.decode_bundle(data, Tile(level=tiles.ENTRIES, index=0, width=2))


def test_a_tile_is_refused_when_its_length_is_wrong() -> None:
    with pytest.raises(InvalidBytes):
        tiles.decode_hashes(bytes(63), Tile(level=0, index=0, width=2))
    with pytest.raises(Refused):
        Tile(level=0, index=0, width=0)


PROOF = LogProof(index=3, hashes=(bytes(32), EMPTY_ROOT), checkpoint=CHECKPOINT, extra=b"leaf")
PROOF_BYTES = format_proof(PROOF)


def test_a_proof_reads_back_when_it_was_written() -> None:
    assert PROOF_BYTES.startswith(b"c2sp.org/tlog-proof@v1\nextra bGVhZg==\nindex 3\nAAAA")
    assert PROOF_BYTES.endswith(b"\n\n" + CHECKPOINT)
    assert parse_proof(PROOF_BYTES) == PROOF
    bare = LogProof(index=0, hashes=(), checkpoint=CHECKPOINT)
    assert parse_proof(format_proof(bare)) == bare


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(PROOF_BYTES.replace(b"@v1", b"@v2"), id="version"),
        pytest.param(PROOF_BYTES.replace(b"index 3", b"index 03"), id="index-padded"),
        pytest.param(PROOF_BYTES.replace(b"index 3", b"index  3"), id="index-spaced"),
        pytest.param(PROOF_BYTES.replace(b"index 3", b"index -3"), id="index-negative"),
        pytest.param(PROOF_BYTES.replace(b"index 3\n", b""), id="index-missing"),
        pytest.param(
            PROOF_BYTES.replace(b"extra bGVhZg==\nindex 3", b"index 3\nextra "),
            id="extra-after-index",
        ),
        pytest.param(
            PROOF_BYTES.replace(b"extra bGVhZg==\n", b"extra bGVhZg==\n" * 2), id="extra-twice"
        ),
        pytest.param(PROOF_BYTES.replace(b"bGVhZg==", b"bGVhZh=="), id="extra-not-canonical"),
        pytest.param(PROOF_BYTES.replace(b"index 3\n", b"index 3\nAAAA\n"), id="hash-short"),
        pytest.param(
            PROOF_BYTES.replace(b"index 3\n", b"index 3\n" + f"{EMPTY}\n".encode() * 64),
            id="hashes-64",
        ),
        pytest.param(PROOF_BYTES.replace(b"\nindex", b"\r\nindex"), id="carriage-return"),
        pytest.param(PROOF_BYTES.partition(b"\n\n")[0] + b"\n\n", id="checkpoint-missing"),
        pytest.param(PROOF_BYTES.partition(b"\n\n")[0], id="separator-missing"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_proof_is_refused_when_its_form_is_tampered(data: bytes) -> None:
    with pytest.raises(InvalidBytes):
        parse_proof(data)
