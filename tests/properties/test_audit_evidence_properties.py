"""Two programs that share nothing read the same in a leaf, and prove the same of many."""

from __future__ import annotations

import pytest
from civicbus_audit.evidence import records
from civicbus_audit.merkle import CompactRange, leaf_hash, perfect_root
from civicbus_audit.multiproof import multiproof
from civicbus_audit.standalone import verify as alone
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.record import RECORD
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.schemas_strategies import data_of, spoilt

any_leaf = data_of(RECORD.document).map(RECORD.encode_single_object)


def read_by_us(leaf: bytes) -> dict[str, object] | None:
    try:
        return records.plain(RECORD.decode_single_object(leaf))
    except InvalidBytes:
        return None


@settings(max_examples=80, deadline=None)
@given(any_leaf, st.integers(0, 2**63))
def test_two_programs_read_the_same_in_a_record_when_it_says_anything(
    leaf: bytes, index: int
) -> None:
    ours, theirs = read_by_us(leaf), alone.decode(leaf, index)
    assert ours is not None
    assert theirs == ours
    assert alone.as_line(index, leaf, theirs) == records.as_line(index, leaf, ours)
    assert alone.as_row(index, theirs) == records.as_row(index, ours)
    assert alone.COLUMNS == records.COLUMNS


@settings(max_examples=200, deadline=None)
@given(any_leaf.flatmap(spoilt))
def test_both_refuse_a_leaf_when_it_is_not_in_its_one_spelling(leaf: bytes) -> None:
    if (ours := read_by_us(leaf)) is None:
        with pytest.raises(alone.Broken):
            alone.decode(leaf, 0)
    else:
        assert alone.decode(leaf, 0) == ours


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 90), st.data())
def test_one_proof_holds_for_any_set_of_leaves_when_nothing_is_changed(
    size: int, data: st.DataObject
) -> None:
    hashes = [leaf_hash(bytes([i])) for i in range(size)]
    chosen = sorted(data.draw(st.sets(st.integers(0, size - 1))))

    def nodes(height: int, index: int) -> bytes:
        return perfect_root(hashes[index << height : (index + 1) << height])

    proof, left = iter(list(multiproof(chosen, size, nodes))), list(chosen)

    def root(start: int, end: int) -> bytes:
        if not left or left[0] >= end:
            return next(proof)
        if end - start == 1:
            return hashes[left.pop(0)]
        middle = alone.middle_of(start, end)
        before = root(start, middle)
        return alone.node_hash(before, root(middle, end))

    assert root(0, size) == CompactRange().extended(hashes).root()
    assert next(proof, None) is None
