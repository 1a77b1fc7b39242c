"""What every store of saved queries does: in memory, and in the real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from civicbus_consumers.officers.casework.database import make_engine, migrate
from civicbus_consumers.officers.rules import SavedRef
from civicbus_consumers.officers.saved.acts import Kept
from civicbus_consumers.officers.saved.desk import KeepsSaved
from civicbus_consumers.officers.saved.store import SavedStore
from civicbus_schemas.ids import AgencyId

from tests.fakes.saved import FakeSaved
from tests.stack import Stack

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
MPS, BANK = AgencyId("mps"), AgencyId("bank")
OWNER, OTHER = "ab" * 16, "cd" * 16


def postgres(stack: Stack, folder: Path) -> Iterator[SavedStore]:
    """A store in a database of its own."""
    dsn = folder / "dsn"
    dsn.write_text(stack.create_database())
    dsn.chmod(0o600)
    engine = make_engine(dsn)
    migrate(engine)
    yield SavedStore(engine)
    engine.dispose()


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.broker)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeepsSaved]:
    if request.param == "memory":
        yield FakeSaved()
        return
    yield from postgres(request.getfixturevalue("stack"), tmp_path)


def kept(**changes: Any) -> Kept:
    """A query in its first version."""
    ref = SavedRef(id=uuid4().hex, version=1)
    values = {"ref": ref, "agency": MPS, "owner": OWNER, "at": AT, "sealed": b"\x00s"}
    return Kept(**values | changes)


def test_the_newest_version_is_found_until_it_is_dropped(store: KeepsSaved) -> None:
    first = kept()
    assert store.find(first.ref.id) is None
    store.keep(first)
    assert store.find(first.ref.id) == first
    second = replace(
        first, ref=replace(first.ref, version=2), at=AT + timedelta(hours=1), sealed=b"t"
    )
    store.keep(second)
    assert store.find(first.ref.id) == second
    assert store.count(OWNER) == 1
    store.drop(first.ref.id)
    store.drop(first.ref.id)
    assert (store.find(first.ref.id), store.count(OWNER)) == (None, 0)


def test_an_agencys_or_an_owners_are_listed_the_newest_first(store: KeepsSaved) -> None:
    old, new = kept(), kept(at=AT + timedelta(days=1), owner=OTHER)
    for one in (old, new, kept(agency=BANK)):
        store.keep(one)
    assert list(store.of(MPS, None)) == [new, old]
    assert list(store.of(MPS, OWNER)) == [old]
    assert list(store.of(AgencyId("vss"), None)) == []
    assert store.count(OWNER) == 2
