"""Readings by their flags on the real PostgreSQL: found by the flags' leaves, and by no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from civicbus_audit.index.database import make_engine, migrate
from civicbus_audit.index.filling import fill
from civicbus_audit.index.searching import Entry, confirm_flagged, flags_about, search
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.query import Query
from civicbus_audit.sealer import Sealer
from civicbus_schemas.errors import EvidenceBroken
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.record import Record, Request, record_id
from civicbus_schemas.vocabulary import RecordKind
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from tests.fakes.pages import PUBLIC_KEYS, FakeRecorder, decision, messages
from tests.stack import Stack

pytestmark = pytest.mark.broker

RECORDER = RecorderId("a" * 32)
SIGNER = Signer("civicbus.local/audit", Ed25519PrivateKey.from_private_bytes(bytes(32)))


def flag(kind: RecordKind, about: int, word: str) -> Record:
    """The leaf of a flag about the reading of that leaf."""
    reading = record_id(RECORDER, page=0, index=about - 1)
    return replace(decision(rule=word), kind=kind, subject=None, req=Request(id=reading))


def leaves(entries: list[Entry]) -> list[int]:
    return [entry.index for entry in entries]


def test_readings_are_found_by_flag_when_a_leaf_raised_it(tmp_path: Path, stack: Stack) -> None:
    raised, closed = RecordKind.FLAG_RAISED, RecordKind.FLAG_CLOSED
    recorder = FakeRecorder(RECORDER)
    readings = recorder.write(*(decision() for _ in range(4)))  # leaves 1 to 4
    flags = recorder.write(
        flag(raised, 1, "self"),  # leaf 6
        flag(raised, 3, "self"),
        flag(raised, 4, "no-case"),  # leaf 8
        flag(closed, 2, "self"),
        flag(closed, 1, "self"),
    )
    (tmp_path / "dsn").write_text(stack.create_database())
    engine = make_engine(tmp_path / "dsn")
    migrate(engine)
    with Ledger.open(tmp_path / "ledger", origin=SIGNER.verifier.name, signer=SIGNER) as ledger:
        Sealer(ledger, keys=PUBLIC_KEYS).seal(messages(readings, flags))
        fill(engine, ledger.log())
        shown = search(engine, Query(flagged="self"))
        assert leaves(shown) == [3, 1]
        assert search(engine, Query(flagged="self", recipient="bank")) == []
        assert search(engine, Query(flagged="volume")) == []
        found = flags_about(engine, "self", shown)
        assert set(leaves(found)) == {6, 7}
        confirm_flagged(shown, found, ledger.log())
        with pytest.raises(EvidenceBroken, match="leaf 1 flagged"):
            confirm_flagged(shown, [one for one in found if one.index != 6], ledger.log())
        with engine.begin() as connection:
            connection.execute(text("update leaf set rule = 'self' where index = 8"))
        shown = search(engine, Query(flagged="self"))
        assert leaves(shown) == [4, 3, 1]
        with pytest.raises(EvidenceBroken, match="leaf 8"):
            confirm_flagged(shown, flags_about(engine, "self", shown), ledger.log())
    engine.dispose()
