"""Indexing: every leaf has its one row, however far behind, and under real SIGKILL."""

from __future__ import annotations

import random
import signal
import threading
from pathlib import Path

import pytest
from civicbus_audit.index import filling
from civicbus_audit.index.database import make_engine
from civicbus_audit.index.examining import examine_index
from civicbus_audit.index.tables import SCHEMA
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.sealer import Sealer
from civicbus_consumers.indexing import indexer as indexer_module
from civicbus_consumers.indexing.indexer import Indexer
from civicbus_consumers.indexing.settings import IndexingSettings
from civicbus_schemas.errors import BusError
from civicbus_schemas.ids import new_recorder_id
from psycopg import connect

from tests.campaign import Rounds
from tests.fakes.pages import PUBLIC_KEYS, FakeRecorder, decision, messages
from tests.integration.sealing_place import LOG_KEY, ORIGIN, SealingPlace
from tests.stack import DEADLINE_S, Stack, wait_until

pytestmark = [pytest.mark.broker, pytest.mark.crash]


def test_every_leaf_has_its_row_when_indexing_was_killed_at_any_moment(
    stack: Stack, tmp_path: Path, rounds: Rounds
) -> None:
    chance = random.Random(7)  # noqa: S311
    place, recorder = SealingPlace.create(stack, tmp_path), FakeRecorder(new_recorder_id())
    with Ledger.open(place.ledger_dir, origin=ORIGIN, signer=Signer(ORIGIN, LOG_KEY)) as ledger:
        sealer = Sealer(ledger, keys=PUBLIC_KEYS)
        for _ in rounds:
            process, moment = place.start_indexing(), threading.Event()
            try:
                for _ in range(chance.randint(20, 60)):
                    page = recorder.write(*[decision()] * 200)
                    sealer.seal(messages(page, start=sealer.position))
                    moment.wait(0.03)
            finally:
                process.kill()
                process.wait()
        process = place.start_indexing()
        try:
            sealer.seal(messages(recorder.write(decision()), start=sealer.position))
            wait_until(lambda: place.indexed() == place.size(), what="the index")
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()
            process.wait()
        engine = make_engine(place.folder / "dsn")
        try:
            assert list(examine_index(engine, ledger.log)) == []
        finally:
            engine.dispose()


def test_every_leaf_has_its_row_when_the_index_is_many_batches_behind(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "BATCH", 300)  # sizes of which the ledger holds no tiles
    place, recorder = SealingPlace.create(stack, tmp_path), FakeRecorder(new_recorder_id())
    pages = [recorder.write(*[decision()] * 200) for _ in range(5)]
    with Ledger.open(place.ledger_dir, origin=ORIGIN, signer=Signer(ORIGIN, LOG_KEY)) as ledger:
        Sealer(ledger, keys=PUBLIC_KEYS).seal(messages(*pages))
    indexer = Indexer(IndexingSettings.read(place.folder / "indexing.json").places)
    try:
        assert [indexer.index_next() for _ in range(5)] == [True] * 4 + [False]
        assert indexer.size == indexer.published == 1005
    finally:
        indexer.close()


def test_an_index_that_was_dropped_is_told_and_made_anew_though_nothing_new_came(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer_module, "ASK_S", 0.0)
    place = SealingPlace.create(stack, tmp_path)
    with Ledger.open(place.ledger_dir, origin=ORIGIN, signer=Signer(ORIGIN, LOG_KEY)) as ledger:
        page = FakeRecorder(new_recorder_id()).write(decision())
        Sealer(ledger, keys=PUBLIC_KEYS).seal(messages(page))
    indexer = Indexer(IndexingSettings.read(place.folder / "indexing.json").places)
    try:
        assert [indexer.index_next() for _ in range(2)] == [True, False]
        with connect((place.folder / "dsn").read_text().strip(), autocommit=True) as admin:
            admin.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
        with pytest.raises(BusError):
            indexer.index_next()
        assert [indexer.index_next() for _ in range(2)] == [True, False]
        assert indexer.size == indexer.published == 2
    finally:
        indexer.close()
