"""What every store of cases does: in memory, and in the real PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from civicbus_consumers.officers.casework.acts import Act, Case, Entry, File
from civicbus_consumers.officers.casework.database import make_engine, migrate
from civicbus_consumers.officers.casework.desk import KeepsCases
from civicbus_consumers.officers.casework.store import CaseStore
from civicbus_schemas.errors import EvidenceBroken
from civicbus_schemas.ids import AgencyId, RecordId
from sqlalchemy import text

from tests.fakes.cases import FakeCases
from tests.stack import Stack

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
KEY = b"c" * 32
MPS, BANK = AgencyId("mps"), AgencyId("bank")
OFFICER, TEXT = "tt-0042 Lê Văn Hùng", "Đơn khiếu nại của bà Lan"


def postgres(stack: Stack, folder: Path) -> Iterator[CaseStore]:
    """A store in a database of its own."""
    dsn = folder / "dsn"
    dsn.write_text(stack.create_database())
    dsn.chmod(0o600)
    engine = make_engine(dsn)
    migrate(engine)
    migrate(engine)  # harmless when the tables are there
    yield CaseStore(engine)
    engine.dispose()


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.broker)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeepsCases]:
    if request.param == "memory":
        yield FakeCases()
        return
    yield from postgres(request.getfixturevalue("stack"), tmp_path)


def keys(cases: Collection[str]) -> Mapping[str, bytes]:
    """The vault holds every key."""
    return dict.fromkeys(cases, KEY)


def case(**changes: Any) -> Case:
    """An open case."""
    values = {"id": uuid4().hex, "agency": MPS, "opened_by": "ab" * 16, "opened_at": AT}
    return Case(**values | changes)  # type: ignore[arg-type]


def entry(act: Act, at: datetime = AT, **told: str) -> Entry:
    """An act."""
    return Entry(
        act=act, at=at, record_id=RecordId(uuid4().hex), by="ab" * 16, officer=OFFICER, told=told
    )


def test_a_case_is_found_as_its_last_act_left_it(store: KeepsCases) -> None:
    made = case()
    assert store.find(made.id) is None
    opened, assigned, closed = (
        entry(Act.OPEN, text=TEXT),
        entry(Act.ASSIGN, assignee="tt-0043"),
        entry(Act.CLOSE, AT + timedelta(hours=1), text="giải quyết xong"),
    )
    stand, before = made, store.count_open(MPS)
    for one, assignee in ((opened, None), (assigned, "cd" * 16), (closed, None)):
        stand = stand.after(one.act, assignee=assignee, at=one.at)
        store.keep(stand, one, key=KEY)
        assert store.find(made.id) == stand
        assert store.count_open(MPS) == before + stand.is_open
    assert (stand.is_open, stand.assignee, stand.closed_at) == (False, "cd" * 16, closed.at)
    assert (store.count_acts(made.id), store.count_acts(uuid4().hex)) == (3, 0)
    assert store.files(MPS, keys) == (File(case=stand, entries=(opened, assigned, closed)),)


def test_an_agencys_own_cases_are_listed_the_newest_first(store: KeepsCases) -> None:
    old, new, others = case(), case(opened_at=AT + timedelta(days=1)), case(agency=BANK)
    for one in (old, new, others):
        store.keep(one, entry(Act.OPEN, text=TEXT), key=KEY)
    assert [file.case for file in store.files(MPS, keys)] == [new, old]
    assert store.files(AgencyId("vss"), keys) == ()


def test_who_and_what_is_erased_when_the_case_has_no_key_any_more(store: KeepsCases) -> None:
    made = case()
    store.keep(made, entry(Act.OPEN, text=TEXT), key=KEY)
    [file] = store.files(MPS, lambda _: {})
    [one] = file.entries
    assert (file.case, one.act, one.officer, one.told) == (made, Act.OPEN, "", {})


@pytest.mark.broker
def test_names_and_texts_are_sealed_and_open_in_their_own_row_only(
    stack: Stack, tmp_path: Path
) -> None:
    for store in postgres(stack, tmp_path):
        made = case()
        store.keep(made, entry(Act.OPEN, text=TEXT), key=KEY)
        store.keep(made, entry(Act.NOTE, text="another"), key=KEY)
        with store.engine.begin() as connection:
            raw = connection.execute(text("select a::text from officers.act a")).scalars().all()
            assert not any(word in row for row in raw for word in (OFFICER, TEXT, "another"))
            connection.execute(
                text("update officers.act a set sealed = b.sealed from officers.act b"
                     " where a.number < b.number")
            )  # fmt: skip
        with pytest.raises(EvidenceBroken):
            store.files(MPS, keys)
