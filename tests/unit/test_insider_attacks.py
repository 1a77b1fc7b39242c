"""Attacks that need no server, and the table of all attacks held against the tests it names."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from civicbus_audit.ledger import Ledger
from civicbus_audit.merkle import leaf_hash
from civicbus_audit.quorum import open_cosigned
from civicbus_audit.sealer import Sealer
from civicbus_audit.witnessing import Witnessing
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.page import HeaderLeaf

from tests.fakes.durable_files import FakeDurableFiles
from tests.fakes.pages import AT, PUBLIC_KEYS, FakeRecorder, decision, messages
from tests.fakes.witnesses import LOG, ORIGIN, fake_witnesses, policy_of

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (\d+) \|(.*)$", re.MULTILINE)


def test_a_back_dated_page_is_measured_by_the_brokers_time_and_refuted_by_the_witnesses() -> None:
    """Row 12: a page claims to be older than a checkpoint that was cosigned without it."""
    recorder = FakeRecorder(RecorderId("a" * 32))
    before, dated_back = recorder.write(), recorder.write(decision(), at=AT - timedelta(days=1))
    files, policy = FakeDurableFiles(), policy_of()
    ledger = Ledger.open(Path("unused"), origin=ORIGIN, signer=LOG, policy=policy, files=files)
    sealer = Sealer(ledger, keys=PUBLIC_KEYS)
    assert sealer.seal(messages(before)).skew_s == 0
    ledger.publish(
        Witnessing(policy, fake_witnesses()).gather(ledger.pending, ledger.log).lines.values()
    )
    cosigned = open_cosigned(files.read("checkpoint"), policy)
    sealed = sealer.seal(messages(dated_back, start=1))
    assert sealed.skew_s == timedelta(days=1).total_seconds()
    seen = datetime.fromtimestamp(min(cosigned.times_s.values()), UTC)
    first_unseen = ledger.log().leaf(cosigned.checkpoint.size)
    assert first_unseen == dated_back.header, "the witnesses have seen all but this page"
    assert HeaderLeaf.decode(first_unseen).header.at < seen, "and it claims to be older than that"


def test_a_guessed_record_has_another_leaf_hash_when_all_but_its_nonce_is_known() -> None:
    """Row 17: the sixteen random bytes of a leaf make its hash no oracle."""
    record = replace(decision(), nonce=bytes(range(16)))
    guess = replace(record, nonce=bytes(16))
    assert leaf_hash(record.encode()) != leaf_hash(guess.encode())
    assert leaf_hash(record.encode()) == leaf_hash(replace(guess, nonce=record.nonce).encode())


def test_every_attack_names_tests_that_are_there() -> None:
    rows = ROW.findall((ROOT / "tests/README.md").read_text("utf-8"))
    assert [int(number) for number, _ in rows] == list(range(1, 22))
    there = {
        node.name
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    for number, row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, f"attack {number} names no test"
        assert sorted(set(named) - there) == []
