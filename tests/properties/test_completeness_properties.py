"""Filing and the sorted tree of an index commit: for any leaves, and for any changed proof."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest
from civicbus_audit.completeness import filing
from civicbus_audit.completeness.filing import By, Filed, Register, filing_of
from civicbus_audit.completeness.tree import Absent, Answer, KeyTree, Present
from civicbus_schemas.errors import EvidenceBroken, InvalidBytes
from civicbus_schemas.record import RECORD
from civicbus_schemas.shapes import to_micros
from civicbus_schemas.vocabulary import DECISION_KINDS, RecordKind
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.schemas_strategies import data_of, spoilt

names = st.tuples(st.sampled_from(By), st.binary(min_size=16, max_size=16))
trees = st.dictionaries(
    names, st.sets(st.integers(100, 400), min_size=1, max_size=4).map(sorted), max_size=40
).map(lambda filed: KeyTree(seed=bytes(32), filed=filed))
kinds = st.sampled_from([*RecordKind, "another"])
any_record = st.builds(lambda datum, kind: datum | {"kind": kind}, data_of(RECORD.document), kinds)
any_leaf = any_record.map(RECORD.encode_single_object)


def _expected(datum: dict[str, object]) -> set[tuple[By, bytes]]:
    """What a record is filed under, from all that it says."""
    told = set[tuple[By, object]]()
    told.add((By.OFFICER, datum["actor"]["officer"]))  # type: ignore[index]
    if datum["kind"] in DECISION_KINDS:
        deferred = datum["kind"] == RecordKind.ACCESS_DEFERRED
        told.add((By.DEFERRED if deferred else By.SUBJECT, datum["subject"]))
        recipient = datum["recipient"]
        told.add((By.RECIPIENT, recipient.encode() if isinstance(recipient, str) else None))
    return {(by, name) for by, name in told if isinstance(name, bytes)}


@settings(max_examples=80, deadline=None)
@given(any_record)
def test_a_record_is_filed_as_what_it_says_when_it_says_anything(datum: dict[str, object]) -> None:
    found = filing_of(RECORD.encode_single_object(datum))
    assert found is not None
    assert found[0] == to_micros(datum["at"])  # type: ignore[arg-type]
    assert set(found[1]) == _expected(datum)


@settings(max_examples=150, deadline=None)
@given(any_leaf.flatmap(spoilt))
def test_a_spoilt_record_is_filed_as_what_it_says_when_it_can_be_read_at_all(leaf: bytes) -> None:
    found = filing_of(leaf)
    try:
        datum = RECORD.decode_single_object(leaf)
    except InvalidBytes:
        return
    assert found is not None
    assert set(found[1]) == _expected(datum)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(any_leaf, any_leaf.flatmap(spoilt))))
def test_many_leaves_are_filed_as_each_is_when_they_are_filed_at_once(filed: list[bytes]) -> None:
    register = Register()
    half = len(filed) // 2
    unfiled = register.file(filed[:half], first=7) + register.file(filed[half:], first=7 + half)
    found = [filing_of(leaf) for leaf in filed]
    expected = defaultdict[Filed, list[int]](list)
    for number, told in enumerate(found, 7):
        for name in told[1] if told else ():
            expected[name].append(number)
    times = [told[0] for told in found if told]
    assert register.all() == expected
    assert all(register.under(name) == numbers for name, numbers in expected.items())
    assert unfiled == [leaf for leaf, told in zip(filed, found, strict=True) if told is None]
    assert register.earliest == min(times, default=None)
    assert register.latest == max(times, default=None)


@settings(max_examples=150, deadline=None)
@given(any_leaf.flatmap(spoilt))
def test_a_beginning_reads_the_same_when_it_is_short_and_when_it_is_read_piece_by_piece(
    leaf: bytes,
) -> None:
    quick = filing._find_short_beginning(leaf)
    if quick is not None:
        assert quick == filing._beginning(leaf)


@settings(max_examples=60, deadline=None)
@given(trees, names)
def test_every_name_is_proved_when_it_is_there_and_absent_when_not(
    tree: KeyTree, other: Filed
) -> None:
    for name in [*tree.filed, other]:
        found = tree.head.check(tree.answer(name), name, salt=tree.salts[name[0]])
        assert found == tuple(tree.filed.get(name, ()))


@settings(max_examples=60, deadline=None)
@given(trees, names, names)
def test_no_proof_serves_another_name_or_another_tree(
    tree: KeyTree, name: Filed, other: Filed
) -> None:
    answer = tree.answer(name)
    if name not in tree.filed:
        tree = replace(tree, filed={**tree.filed, name: [100]})
        _refused(tree, answer, name)  # it was absent, and is not
        answer = tree.answer(name)
    for head, salt in (
        (replace(tree, seed=b"another").head, tree.salts[name[0]]),
        (tree.head, bytes(32)),
    ):
        with pytest.raises(EvidenceBroken):
            head.check(answer, name, salt=salt)
    if other != name:
        _refused(tree, answer, other)


@settings(max_examples=120, deadline=None)
@given(trees, names, st.data())
def test_a_proof_is_refused_when_anything_in_it_is_changed(
    tree: KeyTree, other: Filed, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([*tree.filed, other]))
    answer = tree.answer(name)
    for changed in _changed(answer, data):
        if changed != answer:
            _refused(tree, changed, name)


def _changed(answer: Answer, data: st.DataObject) -> list[Answer]:
    place = data.draw(st.integers(-3, 50))
    proof = data.draw(_changed_hashes(answer.proof, size=32))
    changes: list[Answer] = [replace(answer, place=place), replace(answer, proof=proof)]
    match answer:
        case Present(leaves=leaves):
            others = data.draw(st.lists(st.integers(100, 400), max_size=4))
            changes += [replace(answer, leaves=tuple(others)), replace(answer, leaves=leaves[:-1])]
        case Absent(neighbours=neighbours):
            changes.append(
                replace(answer, neighbours=data.draw(_changed_hashes(neighbours, size=64)))
            )
    return changes


def _changed_hashes(
    hashes: tuple[bytes, ...], *, size: int
) -> st.SearchStrategy[tuple[bytes, ...]]:
    stranger = st.binary(min_size=size, max_size=size)
    longer = stranger.map(lambda extra: (*hashes, extra))
    if not hashes:
        return longer
    place = st.integers(0, len(hashes) - 1)
    shorter = place.map(lambda at: hashes[:at] + hashes[at + 1 :])
    other = st.builds(lambda at, new: (*hashes[:at], new, *hashes[at + 1 :]), place, stranger)
    return st.one_of(longer, shorter, other)


def _refused(tree: KeyTree, answer: Answer, name: Filed) -> None:
    with pytest.raises(EvidenceBroken):
        tree.head.check(answer, name, salt=tree.salts[name[0]])
