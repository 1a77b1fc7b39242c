"""The Merkle tree against the known vectors of RFC 6962's reference code, and its refusals."""

from __future__ import annotations

import pytest
from civicbus_audit import merkle
from civicbus_schemas.errors import EvidenceBroken, Refused

# The eight leaves and the roots of certificate-transparency's merkle_tree_test.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]


def nodes(height: int, index: int) -> bytes:
    return merkle.perfect_root(HASHES[index << height : index + 1 << height])


@pytest.mark.parametrize("size", range(9))
def test_both_ways_give_the_known_root_when_the_leaves_are_the_rfc_ones(size: int) -> None:
    assert merkle.CompactRange().extended(HASHES[:size]).root().hex() == ROOTS[size]
    assert merkle.root_of_range(0, size, nodes).hex() == ROOTS[size]


def test_the_proofs_are_the_known_ones_when_the_leaves_are_the_rfc_ones() -> None:
    assert [hash_.hex() for hash_ in merkle.inclusion_proof(0, 8, nodes)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    assert [hash_.hex() for hash_ in merkle.inclusion_proof(2, 3, nodes)] == [
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    ]
    assert [hash_.hex() for hash_ in merkle.consistency_proof(6, 8, nodes)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_a_leaf_never_hashes_like_a_node_when_their_bytes_are_equal() -> None:
    assert merkle.leaf_hash(HASHES[0] + HASHES[1]) != merkle.node_hash(HASHES[0], HASHES[1])


PROOF = merkle.inclusion_proof(4, 7, nodes)
ROOT = bytes.fromhex(ROOTS[7])


def _flipped(hash_: bytes) -> bytes:
    return bytes([hash_[0] ^ 1]) + hash_[1:]


@pytest.mark.parametrize(
    ("proof", "changes"),
    [
        pytest.param(PROOF, {"leaf": HASHES[5]}, id="another-leaf"),
        pytest.param(PROOF, {"index": 5}, id="index-moved"),
        pytest.param(PROOF, {"index": 7}, id="index-outside"),
        pytest.param(PROOF, {"index": -1}, id="index-negative"),
        pytest.param(PROOF, {"size": 9}, id="size-grown"),
        pytest.param(PROOF, {"size": 5}, id="size-shrunk"),
        pytest.param(PROOF, {"size": 0}, id="size-zero"),
        pytest.param(PROOF, {"root": _flipped(ROOT)}, id="another-root"),
        pytest.param((_flipped(PROOF[0]), *PROOF[1:]), {}, id="hash-flipped"),
        pytest.param(PROOF[1:], {}, id="hash-dropped"),
        pytest.param((*PROOF, PROOF[0]), {}, id="hash-added"),
        pytest.param((PROOF[1], PROOF[0], *PROOF[2:]), {}, id="hashes-swapped"),
        pytest.param((PROOF[0][:31], *PROOF[1:]), {}, id="hash-truncated"),
        pytest.param((b"", *PROOF), {}, id="hash-empty"),
        pytest.param(PROOF, {"root": ROOT[:31]}, id="root-truncated"),
    ],
)
def test_inclusion_is_refused_when_the_proof_is_tampered(
    proof: tuple[bytes, ...], changes: dict[str, object]
) -> None:
    claim = {"leaf": HASHES[4], "index": 4, "size": 7, "root": ROOT}
    merkle.verify_inclusion(PROOF, **claim)  # type: ignore[arg-type]
    with pytest.raises(EvidenceBroken):
        merkle.verify_inclusion(proof, **claim | changes)  # type: ignore[arg-type]


STEP = merkle.consistency_proof(3, 7, nodes)


@pytest.mark.parametrize(
    ("proof", "changes"),
    [
        pytest.param(STEP, {"old_root": _flipped(bytes.fromhex(ROOTS[3]))}, id="old-root-changed"),
        pytest.param(STEP, {"new_root": _flipped(ROOT)}, id="new-root-changed"),
        pytest.param(STEP, {"old_size": 2}, id="old-size-moved"),
        pytest.param(STEP, {"old_size": 0}, id="old-size-zero"),
        pytest.param(STEP, {"old_size": 7, "new_size": 3}, id="sizes-exchanged"),
        pytest.param((), {"old_size": 7}, id="same-size-other-root"),
        pytest.param(STEP, {"old_size": 7, "old_root": ROOT}, id="same-size-with-proof"),
        pytest.param((), {}, id="proof-empty"),
        pytest.param((STEP[0], _flipped(STEP[1]), *STEP[2:]), {}, id="middle-changed"),
        pytest.param(STEP[:-1], {}, id="hash-dropped"),
        pytest.param((*STEP, STEP[0]), {}, id="hash-added"),
        pytest.param((STEP[0][:31], *STEP[1:]), {}, id="hash-truncated"),
    ],
)
def test_consistency_is_refused_when_the_proof_is_tampered(
    proof: tuple[bytes, ...], changes: dict[str, object]
) -> None:
    claim = {
        "old_size": 3,
        "new_size": 7,
        "old_root": bytes.fromhex(ROOTS[3]),
        "new_root": ROOT,
    }
    merkle.verify_consistency(STEP, **claim)  # type: ignore[arg-type]
    with pytest.raises(EvidenceBroken):
        merkle.verify_consistency(proof, **claim | changes)  # type: ignore[arg-type]


def test_no_proof_is_made_when_the_place_does_not_exist() -> None:
    with pytest.raises(Refused):
        merkle.inclusion_proof(3, 3, nodes)
    with pytest.raises(Refused):
        merkle.consistency_proof(0, 3, nodes)
    with pytest.raises(Refused):
        merkle.perfect_root(HASHES[:3])
    with pytest.raises(Refused):
        merkle.CompactRange(size=3, peaks=(HASHES[0],))
