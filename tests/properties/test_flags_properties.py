"""Flags: the same pages give the same flags, however they are cut into batches or come twice."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise

from civicbus_consumers.flags.findings import Finding
from civicbus_consumers.flags.memory import Memory, from_json, to_json
from civicbus_consumers.flags.reference import Reference, read_reference
from civicbus_consumers.flags.rules import fold, further_keys, keys_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.benchmarks.flags.abuse import KINDS, UNSEEN
from tests.benchmarks.flags.bound import count_twins, find_lonely, most_found
from tests.benchmarks.flags.measuring import held_against
from tests.benchmarks.flags.pages import Set, build_set


@cache
def made() -> tuple[Set, Reference]:
    one = build_set(11, officers=12, weeks=5, episodes=1)
    return one, read_reference(json.dumps(one.reference).encode())


@cache
def at_once() -> tuple[Finding, ...]:
    one, reference = made()
    return tuple(fold(one.pages, Memory(), reference).raised)


class Kept:
    """Memory as the store keeps it: JSON under keys, of which a batch gets only what it asks."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}

    def load(self, keys: set[str]) -> Memory:
        memory = Memory({k: from_json(k, json.loads(self.rows[k])) for k in keys & set(self.rows)})
        more = further_keys(memory) & set(self.rows)
        memory.documents |= {k: from_json(k, json.loads(self.rows[k])) for k in more}
        return memory

    def save(self, memory: Memory) -> None:
        self.rows |= {k: json.dumps(to_json(memory.documents[k])) for k in memory.touched}


@settings(max_examples=4, deadline=None)
@given(cuts=st.lists(st.integers(min_value=1, max_value=10**6), max_size=12))
def test_flags_are_the_same_when_pages_come_in_any_batches(cuts: list[int]) -> None:
    one, reference = made()
    places = sorted({0, len(one.pages), *(cut % len(one.pages) for cut in cuts)})
    kept, raised = Kept(), []
    for start, end in pairwise(places):
        batch = one.pages[start:end]
        memory = kept.load(keys_of(batch))
        raised += fold(batch, memory, reference).raised
        kept.save(memory)
    assert tuple(raised) == at_once()


def test_each_id_is_raised_once_when_a_whole_set_is_folded() -> None:
    ids = [finding.id for finding in at_once()]
    assert len(ids) == len(set(ids)) > 0


def test_the_set_is_the_same_when_it_is_made_from_the_same_seed() -> None:
    one, _ = made()
    again = build_set(11, officers=12, weeks=5, episodes=1)
    assert again.pages == one.pages
    assert again.seeds == one.seeds


def test_nearly_every_kind_of_abuse_is_found_when_the_set_is_small() -> None:
    one, _ = made()
    found = held_against(one, list(at_once()), readings=1000, seconds=0)
    assert set(found.seeded) == set(KINDS)
    assert UNSEEN not in found.found  # which nothing can tell from a walk-in
    assert found.recall() >= 0.75


def test_single_reading_has_twins_and_bounds_recall_when_it_is_counted() -> None:
    one, _ = made()
    found = held_against(one, list(at_once()), readings=10_000, seconds=0)
    hard = {record for record, (kind, _) in one.seeds.items() if kind == UNSEEN}
    assert hard <= {str(record.id) for record in find_lonely(one)}
    twins = count_twins(one)
    assert twins > 10 * len(hard)
    assert found.recall(with_unseen=True) <= most_found(found, twins, per_thousand=5) < 1
    assert most_found(found, twins, per_thousand=1000) == 1
