"""Pruning: entries may be missing only where a leaf of two officials says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from civicbus_audit.checkpoint import Checkpoint
from civicbus_audit.completeness.asked import Asked
from civicbus_audit.completeness.filing import By
from civicbus_audit.completeness.proving import prove_complete
from civicbus_audit.completeness.verifying import Complete, verify_complete
from civicbus_audit.discarding import discard
from civicbus_audit.fences import examine
from civicbus_audit.finding import find_record
from civicbus_audit.merkle import inclusion_proof, leaf_hash, verify_inclusion
from civicbus_audit.minimum import MINIMUM, Minimum
from civicbus_audit.multiproof import multiproof
from civicbus_audit.notice import Finding
from civicbus_audit.pruning import PRUNER, Pruning, find_pruning, open_log, widest_pruning
from civicbus_audit.sealer import Sealer
from civicbus_audit.serving.answers import Answering
from civicbus_audit.serving.questions import Problem, parse_target
from civicbus_audit.standalone import verify as alone
from civicbus_audit.stored import LeafPruned
from civicbus_audit.verify import verify_ledger
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.errors import EvidenceBroken, InvalidBytes, Refused, Unavailable
from civicbus_schemas.ids import RecorderId

from tests.fakes.durable_files import FakeDurableFiles, Mode
from tests.fakes.pages import PUBLIC_KEYS, FakeRecorder, decision, messages
from tests.unit.completeness_samples import LOG, person
from tests.unit.pruning_samples import (
    OFFICER,
    Growing,
    grown,
    opened,
    prune_record,
    root_of,
    stored,
)

_GROWN = grown()
_BEFORE = _GROWN.copy()
FIRST = _GROWN.commits[1]
PRUNE = _GROWN.prune(FIRST)
_GROWN.commit()
_WHOLE = stored(_GROWN.leaves)
SIZE = len(_GROWN.leaves)
POLICY = alone.parse_policy(f"log {LOG.verifier}\nquorum none\n".encode())
GONE = {"tile/entries/000", "sealed/000"}
FOREIGN = {Finding.FOREIGN_PROCESS: 1}


@pytest.fixture
def whole() -> FakeDurableFiles:
    """The ledger with the leaf, and nothing deleted yet."""
    return _WHOLE.copy()


@pytest.fixture
def pruned(whole: FakeDurableFiles) -> FakeDurableFiles:
    """The same when the leaf was carried out."""
    discard(whole, pruning(whole), size=SIZE)
    return whole


def pruning(files: FakeDurableFiles, size: int = SIZE) -> Pruning:
    found = widest_pruning(open_log(files.read, size))
    assert found is not None
    return found


def verified(files: FakeDurableFiles) -> Checkpoint:
    return verify_ledger(files, LOG.verifier)


def test_all_but_what_was_pruned_still_holds_when_a_leaf_says_so(pruned: FakeDurableFiles) -> None:
    assert FIRST % 256 > 0
    assert not GONE & {*pruned.paths()}
    assert verified(pruned).size == SIZE
    found = find_pruning(pruned.read, SIZE)
    assert found is not None
    assert (found.minimum, found.first, found.leaf) == (256, FIRST, PRUNE)


def test_a_ledger_is_pruned_when_it_was_never_stored_in_the_size_that_goes() -> None:
    files = stored(_GROWN.leaves, at_once=SIZE)
    assert {path for path in files.paths() if path.startswith("tile/1/")} == {"tile/1/000.p/3"}
    discard(files, pruning(files), size=SIZE)
    assert verified(files).size == SIZE
    found = find_pruning(files.read, SIZE)
    assert found is not None
    assert (found.minimum, found.first, found.leaf) == (256, FIRST, PRUNE)


def test_a_pruned_leaf_is_still_proved_when_its_bytes_come_from_elsewhere(
    pruned: FakeDurableFiles,
) -> None:
    path = inclusion_proof(5, SIZE, open_log(pruned.read, SIZE).node)
    leaf, root = leaf_hash(_GROWN.leaves[5]), verified(pruned).root
    verify_inclusion(path, leaf=leaf, index=5, size=SIZE, root=root)


def test_readers_begin_at_the_first_leaf_that_is_kept_when_the_ledger_was_pruned(
    pruned: FakeDurableFiles,
) -> None:
    log = open_log(pruned.read, SIZE)
    assert [index for index, _ in log.leaves()] == [*range(FIRST, SIZE)]
    assert next(log.containing(b""))[0] == FIRST
    for index in (0, 255, FIRST - 1):
        with pytest.raises(LeafPruned):
            log.leaf(index)
    assert find_record(log, "f" * 32) is None
    assert examine(log.leaves()).breaches == ()


def test_the_ledger_goes_on_when_it_was_pruned(pruned: FakeDurableFiles) -> None:
    stored([*_GROWN.leaves, b"one more"], pruned)
    assert verified(pruned).size == SIZE + 1
    with opened(pruned) as ledger:
        assert ledger.log().first == FIRST


def test_the_minimum_rises_and_never_goes_down_when_it_is_pruned_again(
    pruned: FakeDurableFiles,
) -> None:
    older, more = pruning(pruned), _GROWN.copy()
    more.prune(more.commits[2])
    stored(more.leaves, pruned)
    size = len(more.leaves)
    newer = pruning(pruned, size)
    discard(pruned, newer, size=size)
    assert verified(pruned).size == size
    assert newer.minimum == 512
    with pytest.raises(Refused, match="never goes down"):
        discard(pruned, older, size=size)
    pruned.write(MINIMUM, Minimum(minimum=256, leaf=PRUNE).encode())
    with pytest.raises(EvidenceBroken, match="missing"):
        verified(pruned)


def _delete(files: FakeDurableFiles, *bundles: int) -> None:
    for number in bundles:
        files.remove(f"tile/entries/{number:03}")


def _say(files: FakeDurableFiles, minimum: int, leaf: int = PRUNE) -> None:
    files.write(MINIMUM, Minimum(minimum=minimum, leaf=leaf).encode())


def _without_minimum(files: FakeDurableFiles) -> None:
    _delete(files, 0)


def _minimum_by_another_leaf(files: FakeDurableFiles) -> None:
    _delete(files, 0)
    _say(files, 256, leaf=300)


def _raised(files: FakeDurableFiles) -> None:
    _delete(files, 0, 1)
    _say(files, 512)


def _below_zero(files: FakeDurableFiles) -> None:
    _say(files, -256)


def _beyond(files: FakeDurableFiles) -> None:
    _say(files, 256, leaf=SIZE)


def _garbled(files: FakeDurableFiles) -> None:
    files.write(MINIMUM, b'{"minimum":256, "leaf":3}')


def _above_the_minimum(files: FakeDurableFiles) -> None:
    discard(files, pruning(files), size=SIZE)
    _delete(files, 1)


def _minimum_taken_away(files: FakeDurableFiles) -> None:
    discard(files, pruning(files), size=SIZE)
    files.remove(MINIMUM)


@pytest.mark.parametrize(
    "attack",
    [
        _without_minimum,
        _minimum_by_another_leaf,
        _raised,
        _below_zero,
        _beyond,
        _garbled,
        _above_the_minimum,
        _minimum_taken_away,
    ],
)
def test_verification_fails_when_no_leaf_bears_out_what_is_missing(
    whole: FakeDurableFiles, attack: Callable[[FakeDurableFiles], None]
) -> None:
    attack(whole)
    with pytest.raises(EvidenceBroken):
        verified(whole)


def _by_another_process(growing: Growing) -> None:
    growing.prune(FIRST, process="enforce-0")


def _without_a_page(growing: Growing) -> None:
    growing.add(b"no record", prune_record(FIRST, root_of(growing.leaves[:FIRST])).encode())


def _up_to_no_commit(growing: Growing) -> None:
    growing.prune(FIRST + 1)


def _of_another_ledger(growing: Growing) -> None:
    growing.prune(FIRST, root=bytes(32))


@pytest.mark.parametrize(
    "forge", [_by_another_process, _without_a_page, _up_to_no_commit, _of_another_ledger]
)
def test_a_leaf_prunes_nothing_when_it_may_not_say_so(forge: Callable[[Growing], None]) -> None:
    forged = _BEFORE.copy()
    forge(forged)
    files, size = stored(forged.leaves), len(forged.leaves)
    with pytest.raises(EvidenceBroken):
        widest_pruning(open_log(files.read, size))
    _delete(files, 0)
    _say(files, 256, leaf=size - 1)
    with pytest.raises(EvidenceBroken):
        verified(files)


@pytest.mark.parametrize("mode", ["lost", "persisted", "torn"])
def test_the_ledger_holds_and_the_rest_goes_when_pruning_crashed_at_any_step(mode: Mode) -> None:
    trial = _WHOLE.copy()
    trial.calls.clear()
    discard(trial, pruning(trial), size=SIZE)
    for step in range(1, len(trial.calls) + 1):
        files = _WHOLE.copy()
        files.fail_at, files.mode = step, mode
        with pytest.raises(OSError, match="injected"):
            discard(files, pruning(files), size=SIZE)
        files.crash()
        assert verified(files).size == SIZE
        discard(files, pruning(files), size=SIZE)
        files.crash()
        assert verified(files).size == SIZE
        assert not GONE & {*files.paths()}


def test_a_reader_is_told_to_read_again_when_the_ledger_is_pruned_meanwhile(
    whole: FakeDurableFiles,
) -> None:
    log = open_log(whole.read, SIZE)
    discard(whole, pruning(whole), size=SIZE)
    with pytest.raises(Unavailable, match="read it again"):
        log.leaf(3)


def test_nothing_is_pruned_when_no_leaf_says_so() -> None:
    files = stored(_BEFORE.leaves)
    log = open_log(files.read, len(_BEFORE.leaves))
    assert (widest_pruning(log), log.first) == (None, 0)


def proof(files: FakeDurableFiles, by: By = By.SUBJECT, name: str = person(7)) -> bytes:
    asked = Asked(by=by, texts=(name,))
    log = open_log(files.read, SIZE)
    return prove_complete(log, files.read("checkpoint"), asked).encode()


def complete(data: bytes) -> Complete:
    """What both verifiers find."""
    found, apart = verify_complete(data, LOG.verifier), alone.verify_complete(data, POLICY)
    assert apart["leaves"] == dict((*found.proved, *found.rescanned))
    assert (apart["first"], apart["covered"]) == (found.first, found.covered)
    return found


def test_completeness_is_claimed_from_the_first_kept_leaf_when_the_ledger_was_pruned(
    whole: FakeDurableFiles,
) -> None:
    before = complete(proof(whole))
    discard(whole, pruning(whole), size=SIZE)
    after = complete(proof(whole))
    assert (before.first, after.first, after.covered) == (0, FIRST, SIZE - 1)
    assert after.proved == tuple(found for found in before.proved if found[0] > FIRST)
    assert len(after.proved) > 1


def test_the_leaf_that_prunes_is_told_like_any_other_when_its_official_is_asked_for(
    pruned: FakeDurableFiles,
) -> None:
    assert [at for at, _ in complete(proof(pruned, By.OFFICER, OFFICER)).proved] == [PRUNE]


def _cut_the_word(told: dict[str, Any]) -> None:
    del told["pruned"]


def _cut_the_leaf(told: dict[str, Any]) -> None:
    told["leaves"] = [leaf for leaf in told["leaves"] if leaf[0] != PRUNE]


def _name_another_leaf(told: dict[str, Any]) -> None:
    told["pruned"] = told["leaves"][0][0]


def _name_no_leaf(told: dict[str, Any]) -> None:
    told["pruned"] = SIZE + 5


def _begin_later(told: dict[str, Any]) -> None:
    told["leaves"] = told["leaves"][1:]


@pytest.mark.parametrize(
    "cut", [_cut_the_word, _cut_the_leaf, _name_another_leaf, _name_no_leaf, _begin_later]
)
def test_a_proof_is_refused_when_it_does_not_say_by_which_leaf_it_begins_there(
    pruned: FakeDurableFiles, cut: Callable[[dict[str, Any]], None]
) -> None:
    told = json.loads(proof(pruned))
    cut(told)
    log = open_log(pruned.read, SIZE)
    hashes = multiproof([index for index, _ in told["leaves"]], SIZE, log.node)
    told["proof"] = [alone.base64.b64encode(hash_).decode() for hash_ in hashes]
    forged = canonical_json(told) + b"\n"
    with pytest.raises((EvidenceBroken, InvalidBytes)):
        verify_complete(forged, LOG.verifier)
    with pytest.raises(alone.Broken):
        alone.verify_complete(forged, POLICY)


def test_hashes_are_served_and_entries_are_gone_when_they_were_pruned(
    pruned: FakeDurableFiles,
) -> None:
    answering = Answering(pruned.read, LOG.verifier)

    def ask(target: str) -> bytes:
        return answering.answer(parse_target(target), trusted=True).body

    assert ask("/tile/0/000")
    assert ask("/tile/entries/001")
    assert b"extra" not in ask("/proof/inclusion?index=5")
    with pytest.raises(Problem, match="pruned") as refused:
        ask("/tile/entries/000")
    assert refused.value.code == "pruned"


@pytest.mark.parametrize(("process", "found"), [(PRUNER, {}), ("enforce-0", FOREIGN)])
def test_a_leaf_that_prunes_is_sealed_only_from_who_carries_orders_out(
    process: str, found: dict[Finding, int]
) -> None:
    said = FakeRecorder(RecorderId("a" * 32), process=process).write(
        decision(), prune_record(FIRST, root_of(_GROWN.leaves[:FIRST]))
    )
    with opened(FakeDurableFiles()) as ledger:
        assert Sealer(ledger, keys=PUBLIC_KEYS).seal(messages(said)).findings == found
        leaves = [leaf for _, leaf in ledger.log().leaves()]
    assert (said.records[1] in leaves) is (process == PRUNER)
