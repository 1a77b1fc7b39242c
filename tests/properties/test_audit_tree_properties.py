"""The tree against a naive reading of RFC 6962, for any leaves and any sizes."""

from __future__ import annotations

from hashlib import sha256

import pytest
from civicbus_audit import merkle, tiles
from civicbus_schemas.errors import EvidenceBroken, InvalidBytes, Refused
from hypothesis import given
from hypothesis import strategies as st

leaves_ = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH as the RFC writes it, sharing no code with the package."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def nodes_of(leaves: list[bytes]) -> merkle.Nodes:
    return lambda height, index: naive_root(leaves[index << height : index + 1 << height])


@given(leaves_, st.data())
def test_both_ways_agree_with_the_naive_root_when_leaves_come_in_two_batches(
    leaves: list[bytes], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(leaves)))
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    grown = merkle.CompactRange().extended(hashes[:cut]).extended(hashes[cut:])
    assert grown.root() == naive_root(leaves)
    assert merkle.root_of_range(0, len(leaves), nodes_of(leaves)) == naive_root(leaves)


@given(leaves_, st.data())
def test_every_leaf_is_proved_when_and_only_when_it_is_the_leaf(
    leaves: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    claimed = data.draw(st.integers(0, len(leaves) - 1))
    proof = merkle.inclusion_proof(index, len(leaves), nodes_of(leaves))
    claim = {"size": len(leaves), "root": naive_root(leaves)}
    leaf = merkle.leaf_hash(leaves[index])
    merkle.verify_inclusion(proof, leaf=leaf, index=index, **claim)  # type: ignore[arg-type]
    if leaves[claimed] != leaves[index]:
        with pytest.raises(EvidenceBroken):
            merkle.verify_inclusion(
                proof,
                leaf=merkle.leaf_hash(leaves[claimed]),
                index=claimed,
                **claim,  # type: ignore[arg-type]
            )


@given(leaves_, st.data())
def test_a_prefix_is_proved_when_and_only_when_it_is_one(
    leaves: list[bytes], data: st.DataObject
) -> None:
    old = data.draw(st.integers(1, len(leaves)))
    changed = data.draw(st.integers(0, old - 1))
    proof = merkle.consistency_proof(old, len(leaves), nodes_of(leaves))
    sizes = {"old_size": old, "new_size": len(leaves)}
    new_root = naive_root(leaves)
    merkle.verify_consistency(proof, old_root=naive_root(leaves[:old]), new_root=new_root, **sizes)
    rewritten = [*leaves[:changed], leaves[changed] + b"!", *leaves[changed + 1 : old]]
    with pytest.raises(EvidenceBroken):
        merkle.verify_consistency(proof, old_root=naive_root(rewritten), new_root=new_root, **sizes)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_a_bundle_reads_back_when_it_was_encoded(entries: list[bytes]) -> None:
    tile = tiles.Tile(level=tiles.ENTRIES, index=0, width=len(entries))
    assert tiles.decode_bundle(tiles.encode_bundle(entries), tile) == entries


@given(st.binary(max_size=600), st.integers(1, 256))
def test_a_bundle_has_one_spelling_when_it_can_be_read_at_all(data: bytes, width: int) -> None:
    try:
        entries = tiles.decode_bundle(data, tiles.Tile(level=tiles.ENTRIES, index=0, width=width))
    except Refused:
        return
    assert tiles.encode_bundle(entries) == data


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256), st.data())
def test_one_entry_is_that_of_the_whole_bundle_or_there_is_none(
    entries: list[bytes], draw: st.DataObject
) -> None:
    tile, data = tiles.Tile(level=tiles.ENTRIES, index=0), tiles.encode_bundle(entries)
    place = draw.draw(st.integers(0, len(entries) - 1))
    assert tiles.entry_of(data, tile, place) == entries[place]
    for cut, beyond in ((data, len(entries)), (data[:-1], len(entries) - 1)):
        with pytest.raises(InvalidBytes):
            tiles.entry_of(cut, tile, beyond)


@given(st.integers(0, 10**13), st.integers(1, 256), st.integers(0, 63) | st.just(tiles.ENTRIES))
def test_a_path_reads_back_when_it_was_made(index: int, width: int, level: int | str) -> None:
    tile = tiles.Tile(level=level, index=index, width=width)
    assert tiles.Tile.parse(tile.path) == tile


@given(st.integers(0, 140_000), st.integers(0, 140_000))
def test_the_changed_tiles_complete_the_tree_when_it_grows(first: int, second: int) -> None:
    old, new = sorted([first, second])
    grown = set(tiles.changed_tiles(0, old)) | set(tiles.changed_tiles(old, new))
    assert set(tiles.changed_tiles(0, new)) <= grown
    assert not set(tiles.changed_tiles(old, new)) & set(tiles.changed_tiles(0, old))
