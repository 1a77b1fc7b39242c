"""Answers that leave nothing out: what a proof proves, to whom, and each tampering by its name."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from civicbus_audit.completeness.asked import Asked
from civicbus_audit.completeness.checking import check_commits
from civicbus_audit.completeness.commit import INDEX_COMMIT, IndexCommit, Tally
from civicbus_audit.completeness.filing import By
from civicbus_audit.completeness.proving import prove_complete
from civicbus_audit.completeness.tree import Absent, Present, _key
from civicbus_audit.completeness.verifying import Complete, verify_complete
from civicbus_audit.multiproof import multiproof
from civicbus_audit.standalone import verify as alone
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.errors import EvidenceBroken, InvalidBytes, Refused
from civicbus_schemas.record import Record
from civicbus_schemas.shapes import to_micros

from tests.fakes.pages import AT, decision
from tests.unit.completeness_samples import (
    COMMIT,
    LOG,
    ORIGIN,
    SampleLog,
    closing,
    investigation,
    log_of,
    person,
    reading,
    refusal,
    sample_log,
)

POLICY = alone.parse_policy(f"log {LOG.verifier}\nquorum none\n".encode())
MANY = [reading(n) for n in range(10, 40)]


def prove(sample: SampleLog, **asked: Any) -> bytes:
    asked.setdefault("by", By.SUBJECT)
    asked.setdefault("texts", (person(1),))
    return prove_complete(sample.log, sample.note, Asked(**asked)).encode()


def complete(sample: SampleLog, **asked: Any) -> Complete:
    """What the proof proves; the verifier that stands alone must find the same."""
    data = prove(sample, **asked)
    found, apart = verify_complete(data, LOG.verifier), alone.verify_complete(data, POLICY)
    names = [(name.by, name.text) for name in found.asked.names]
    assert apart.pop("leaves") == dict((*found.proved, *found.rescanned))
    period = [time and to_micros(time) for time in (found.asked.since, found.asked.until)]
    assert apart == {
        "asked": (found.asked.by, [*found.asked.texts], *period),
        "checkpoint": sample.note.decode(),
        "origin": ORIGIN,
        "size": found.checkpoint.size,
        "first": found.first,
        "covered": found.covered,
        "commits": found.commits,
        "proved": len(found.proved),
        "rescanned": len(found.rescanned),
        "unreadable": found.unreadable,
        "hidden": found.hidden,
        "names": names,
    }
    return found


def indices(found: tuple[tuple[int, bytes], ...]) -> list[int]:
    return [index for index, _ in found]


def test_all_readings_are_proved_when_commits_cover_them() -> None:
    sample = sample_log(reading(1), *MANY, COMMIT, *MANY, COMMIT, reading(1), refusal(1), COMMIT)
    found = complete(sample)
    assert indices(found.proved) == [0, 63, 64]
    assert (found.commits, found.covered, found.rescanned, found.hidden) == (3, 65, (), None)
    assert [Record.decode(leaf).subject for _, leaf in found.proved] == [person(1)] * 3


def test_absence_is_proved_when_nobody_read_a_person() -> None:
    found = complete(sample_log(*MANY, COMMIT, *MANY, COMMIT, b"unknown"))
    assert (found.proved, found.rescanned, found.commits, found.covered) == ((), (), 2, 61)


def test_what_no_commit_covers_is_told_apart_when_it_was_only_scanned() -> None:
    found = complete(sample_log(reading(1), COMMIT, *MANY, reading(1)))
    assert (indices(found.proved), indices(found.rescanned), found.covered) == ([0], [32], 1)
    nothing_covered = complete(sample_log(reading(1), *MANY))
    assert (nothing_covered.proved, indices(nothing_covered.rescanned)) == ((), [0])
    assert nothing_covered.covered == 0


def test_an_officer_and_an_agency_are_proved_when_asked_for() -> None:
    by_officer = decision(officer="9" * 32, recipient="bank")
    sample = sample_log(by_officer, *MANY, COMMIT, closing(), by_officer, COMMIT)
    assert indices(complete(sample, by=By.OFFICER, texts=("9" * 32,)).proved) == [0, 33]
    assert indices(complete(sample, by=By.RECIPIENT, texts=("bank",)).proved) == [0, 33]


def test_all_pseudonyms_of_a_person_answer_when_he_had_several() -> None:
    sample = sample_log(reading(1), reading(2), reading(3), COMMIT, reading(2))
    found = complete(sample, texts=(person(1), person(2)))
    assert (indices(found.proved), indices(found.rescanned)) == ([0, 1], [4])


def test_only_commits_that_overlap_answer_when_a_period_is_named() -> None:
    late = [reading(1, hours=5), *(reading(n, hours=5) for n in range(10, 14))]
    sample = sample_log(reading(1), *MANY, COMMIT, *late, reading(1), COMMIT)
    asked = {"since": AT + timedelta(hours=5), "until": AT + timedelta(hours=6)}
    data = prove(sample, **asked)
    assert len(json.loads(data)["answers"]) == 1
    found = verify_complete(data, LOG.verifier)
    assert (indices(found.proved), found.commits) == ([32], 2)


def test_a_citizen_sees_no_trace_of_an_investigation_when_it_goes_on() -> None:
    hidden = [investigation(1), *MANY, COMMIT, reading(1), *MANY, COMMIT, investigation(1)]
    sample, without = sample_log(*hidden), sample_log(*hidden[1:-1], *MANY[:2])
    found = complete(sample, as_citizen=True)
    assert (indices(found.proved), found.rescanned, found.hidden) == ([32], (), 2)
    shown = json.loads(prove(sample, as_citizen=True))
    plain = json.loads(prove(without, as_citizen=True))
    kinds = [[sorted(answer) for answer in row["filed"]] for row in shown["answers"]]
    assert kinds == [[sorted(answer) for answer in row["filed"]] for row in plain["answers"]]
    officer = complete(sample)
    assert (indices(officer.proved), indices(officer.rescanned)) == ([0, 32], [64])


def test_a_citizen_cannot_tell_a_neighbour_when_it_is_an_investigation_of_himself() -> None:
    """He tries his own name, of every sort, with every salt that his proof tells him."""
    himself, seen = bytes.fromhex(person(1)), 0
    for hour in range(8):
        sample = sample_log(reading(2, hours=hour), investigation(1, hours=hour), COMMIT)
        ((_, tally),) = check_commits(sample.leaves)
        hidden_salt = tally.tree().salts[By.DEFERRED]
        deferred = _key((By.DEFERRED, himself), hidden_salt)
        (answers,) = json.loads(prove(sample, as_citizen=True))["answers"]
        salts = [base64.b64decode(salt) for salt in answers["salts"]]
        entries = [base64.b64decode(entry) for entry in answers["filed"][0]["neighbours"]]
        assert not {entry[:32] for entry in entries} & {
            _key((by, himself), salt) for by in By for salt in salts
        }
        assert hidden_salt not in salts
        seen += any(entry.startswith(deferred) for entry in entries)
    assert seen  # the neighbour that would tell it does stand in some of the proofs


def test_a_citizen_sees_an_investigation_when_its_case_is_closed() -> None:
    going_on = investigation(1, case="d" * 32)
    sample = sample_log(investigation(1), going_on, COMMIT, closing(), COMMIT, reading(1))
    found = complete(sample, as_citizen=True)
    assert (indices(found.rescanned), found.hidden) == ([0, 5], 1)
    since = AT + timedelta(hours=1)
    assert complete(sample, as_citizen=True, since=since).rescanned == ()
    assert complete(sample, as_citizen=True, since=since).hidden == 1


def test_nobody_is_proved_when_nobody_or_two_sorts_are_asked_for() -> None:
    for asked in ({"texts": ()}, {"texts": (person(2), person(1))}, {"by": By.DEFERRED}):
        with pytest.raises(Refused):
            prove(sample_log(reading(1)), **asked)
    with pytest.raises(Refused):
        prove(sample_log(reading(1)), by=By.OFFICER, as_citizen=True)


SAMPLE = sample_log(*MANY, reading(1), COMMIT, *MANY, COMMIT, reading(1), b"unknown")
PROOF = json.loads(prove(SAMPLE))


def _drop_leaf(proof: dict[str, Any], index: int) -> None:
    proof["leaves"] = [pair for pair in proof["leaves"] if pair[0] != index]


def _claim_absent(proof: dict[str, Any]) -> None:
    subject = proof["answers"][0]["filed"][1]
    proof["answers"][0]["filed"][1] = {"place": 99, "proof": subject["proof"], "neighbours": []}


def _swap(proof: dict[str, Any]) -> None:
    proof["answers"] = proof["answers"][::-1]


def _claim_fewer(proof: dict[str, Any]) -> None:
    proof["answers"][0]["filed"][1]["leaves"] = [29]


def _end_before(proof: dict[str, Any]) -> None:
    """Only the second commit, as if the log began there."""
    _drop_leaf(proof, 31)
    proof["answers"].pop(0)


def _narrow(proof: dict[str, Any]) -> None:
    proof["since"] = "2030-01-01T00:00:00+00:00"


def _replace(proof: dict[str, Any], name: str, old: str, new: str) -> None:
    assert old in proof[name]
    proof[name] = proof[name].replace(old, new)


def _hide(proof: dict[str, Any]) -> None:
    proof["hidden"] = 0


BROKEN: dict[str, Callable[[dict[str, Any]], None]] = {
    "a-reading-claimed-absent": _claim_absent,
    "another-leaf-claimed": _claim_fewer,
    "answers-swapped": _swap,
    "a-commit-left-out": _end_before,
    "an-answer-left-out": lambda p: p["answers"].pop(),
    "a-name-unanswered": lambda p: p["answers"][0]["filed"].pop(0),
    "a-named-leaf-left-out": lambda p: _drop_leaf(p, 30),
    "another-period": _narrow,
    "deferred-readings-not-asked-for": _hide,
    "another-person": lambda p: p.update(names=[person(2)]),
    "a-hash-too-many": lambda p: p["proof"].append(p["proof"][0]),
    "a-hash-too-few": lambda p: p["proof"].pop(),
    "leaves-out-of-order": lambda p: p["leaves"].reverse(),
    "a-leaf-twice": lambda p: p["leaves"].append(p["leaves"][-1]),
    "a-stranger-s-leaf": lambda p: p["leaves"][0].__setitem__(0, 29),
    "another-checkpoint": lambda p: _replace(p, "checkpoint", "\n65\n", "\n64\n"),
    "another-format": lambda p: p.update(format="civicbus-completeness@v2"),
    "a-word-more": lambda p: p.update(note="complete"),
    "a-number-as-text": lambda p: p["answers"][0]["filed"][0].update(place="0"),
    "a-number-as-truth": lambda p: p["answers"][0]["filed"][0].update(place=True),
    "no-person": lambda p: p.update(names=["5"]),
    "no-sort": lambda p: p.update(by="everything"),
    "no-answers": lambda p: p.pop("answers"),
    "another-salt": lambda p: p["answers"][1].update(salts=p["answers"][0]["salts"]),
    "salts-swapped": lambda p: p["answers"][0]["salts"].reverse(),
    "a-salt-too-few": lambda p: p["answers"][0]["salts"].pop(),
    "a-salt-too-many": lambda p: p["answers"][0]["salts"].append(p["answers"][1]["salts"][0]),
    "a-short-neighbour": lambda p: p["answers"][1]["filed"][1].update(neighbours=["AAAA"]),
}


@pytest.mark.parametrize("tampering", BROKEN)
def test_a_proof_is_refused_when_it_was_tampered_with(tampering: str) -> None:
    proof = json.loads(json.dumps(PROOF))
    BROKEN[tampering](proof)
    data = canonical_json(proof) + b"\n"
    with pytest.raises((EvidenceBroken, InvalidBytes)):
        verify_complete(data, LOG.verifier)
    with pytest.raises(alone.Broken):
        alone.verify_complete(data, POLICY)


def test_a_proof_is_refused_when_it_is_spelled_otherwise() -> None:
    data = canonical_json(PROOF) + b"\n"
    verify_complete(data, LOG.verifier)
    spelled = [data[:-1], data + b"\n", json.dumps(PROOF).encode() + b"\n", b"", b"[]", b"\xff"]
    for other in [*spelled, b"[" * 100_000]:
        with pytest.raises(InvalidBytes):
            verify_complete(other, LOG.verifier)
        with pytest.raises(alone.Broken):
            alone.verify_complete(other, POLICY)


@pytest.mark.parametrize(
    "tampering", ["a-commit-left-out", "a-named-leaf-left-out", "a-stranger-s-leaf-added"]
)
def test_a_proof_is_refused_when_its_maker_led_other_leaves_to_the_root(tampering: str) -> None:
    proof = json.loads(json.dumps(PROOF))
    if tampering == "a-stranger-s-leaf-added":
        proof["leaves"].insert(0, [0, base64.b64encode(SAMPLE.leaves[0]).decode()])
    else:
        BROKEN[tampering](proof)
    chosen = [index for index, _ in proof["leaves"]]
    hashes = multiproof(chosen, SAMPLE.log.size, SAMPLE.log.node)
    proof["proof"] = [base64.b64encode(hash_).decode() for hash_ in hashes]
    data = canonical_json(proof) + b"\n"
    with pytest.raises(EvidenceBroken):
        verify_complete(data, LOG.verifier)
    with pytest.raises(alone.Broken):
        alone.verify_complete(data, POLICY)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"first": 1}, "first"),
        ({"end": 9}, "end"),
        ({"earliest": None}, "earliest"),
        ({"latest": AT}, "latest"),
        ({"unreadable": 1}, "unreadable"),
        ({"head": "another"}, "head"),
    ],
)
def test_a_commit_is_named_when_the_leaves_make_another(changed: dict[str, Any], what: str) -> None:
    leaves = list(sample_log(reading(1), reading(2, hours=3), COMMIT).leaves)
    commit = IndexCommit.decode(leaves[-1])
    if what == "head":
        tally = Tally(0)
        for leaf in (leaves[1], leaves[1]):
            tally.add(leaf)
        changed = {"head": tally.commit(AT).head}
    forged = replace(commit, **changed)
    with pytest.raises(EvidenceBroken, match=f"leaf 2 is not .* leaves 0 to 1 .*another {what}"):
        list(check_commits([*leaves[:2], forged.encode()]))
    if what != "end":
        with pytest.raises(EvidenceBroken):
            prove(log_of([*leaves[:2], forged.encode()]))


def test_a_commit_is_refused_when_it_covers_nothing_or_cannot_be_read() -> None:
    commit = sample_log(reading(1), COMMIT).leaves[-1]
    with pytest.raises(EvidenceBroken, match="covers nothing"):
        list(check_commits([commit]))
    with pytest.raises(EvidenceBroken, match="cannot be read"):
        list(check_commits([MANY[0].encode(), commit[:-1]]))


def test_every_leaf_belongs_to_one_commit_and_the_unreadable_are_counted() -> None:
    truncated = MANY[0].encode()[:40]
    sample = sample_log(truncated, b"unknown", *MANY, COMMIT, MANY[0], COMMIT, MANY[0])
    commits = [commit for commit, _ in check_commits(sample.leaves)]
    assert [(c.first, c.end, c.unreadable) for c in commits] == [(0, 32, 2), (32, 34, 0)]
    assert complete(sample).unreadable == 2


def test_the_bytes_stay_the_same_when_a_commit_is_made_again() -> None:
    leaf = SAMPLE.leaves[31]
    assert INDEX_COMMIT.fingerprint == (
        "8814887ede42e202ddd9441d1cccaaa227978d93176c522126a7a01c526b1c37"
    )
    assert sha256(leaf).hexdigest() == (
        "40b5109d7a1ccfbeb4888b20dca365a9d01a40e4c2df627042d08bac899fcd9a"
    )
    assert sha256(prove(SAMPLE)).hexdigest() == (
        "90da981cec37226a876ef83f4066a9f4ad631d91c4848531846c2be9c2274243"
    )
    assert IndexCommit.decode(leaf).encode() == leaf
    made = prove_complete(SAMPLE.log, SAMPLE.note, Asked(by=By.SUBJECT, texts=(person(1),)))
    kinds = [type(answer) for answers in made.answers for answer in answers.filed]
    assert kinds == [Absent, Present, Absent, Absent]
