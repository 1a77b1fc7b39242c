"""Ordering a pruning: what the nation keeps is refused, and a leaf says what goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from civicbus_audit.completeness.commit import IndexCommit, Tally
from civicbus_audit.merkle import root_of_range
from civicbus_audit.pruning import PRUNER, pruning_of
from civicbus_audit.stored import StoredLog
from civicbus_consumers.officers.orders import Act, Given, Order, OrderRefused
from civicbus_consumers.officers.pruning import (
    find_commit_behind,
    find_first_kept,
    order_pruning,
)
from civicbus_consumers.officers.rules import Official, Role
from civicbus_consumers.recording.seal import sealed_under
from civicbus_deploy.oversight.acting import PROCESS
from civicbus_schemas.errors import InvalidAgreement, Refused
from civicbus_schemas.page import HeaderLeaf
from civicbus_schemas.record import Record
from civicbus_schemas.retention import Retention, parse_retention
from civicbus_schemas.subject import officer

from tests.fakes.lookup import FakePages
from tests.fakes.pages import AT
from tests.fakes.vault import FakeVault, opened, secret_of
from tests.unit.completeness_samples import log_of, reading
from tests.unit.lookup_samples import recorder
from tests.unit.officers_office import MPS

NOW = datetime(2046, 11, 22, 12, tzinfo=UTC)
TWENTY = Retention(ledger_years=20, source="a law")
TEN = replace(TWENTY, ledger_years=10)


def ledger(*hours: int, each: int = 1) -> StoredLog:
    """So many readings at each of these hours after the beginning, a commit behind them."""
    leaves, tally = list[bytes](), Tally(0)
    for hour in hours:
        leaf = reading(1, hours=hour).encode()
        for _ in range(each):
            tally.add(leaf)
            leaves.append(leaf)
        leaves.append(tally.commit(AT + timedelta(hours=hour)).encode())
        tally = Tally(len(leaves) - 1)
        tally.add(leaves[-1])
    return log_of(leaves).log


FEW = ledger(0, 1, 24, 25, 48)
LOG = ledger(0, 1, 24, each=200)
FIRST = 401


def given(before: str = "2026-11-22", act: Act = Act.PRUNE) -> Given:
    about = before if act is Act.PRUNE else "ab" * 16
    return Given(
        order=Order(act=act, about=about, reason="hết thời hạn lưu"),
        asked_by=Official(agency=MPS, name="tt-1", role=Role.OFFICER),
        approved_by=Official(agency=MPS, name="gs-1", role=Role.SUPERVISOR),
    )


def order(
    pages: FakePages, to: Given, *, retention: Retention | None = TEN, now: datetime = NOW
) -> str:
    return order_pruning(
        to, log=LOG, retention=retention, vault=FakeVault(), recorder=recorder(pages), now=now
    )


def test_the_leaf_says_where_the_ledger_begins_when_an_order_prunes() -> None:
    pages = FakePages()
    id_ = order(pages, given())
    first, second = pages.pages
    [leaf], [part] = first.records, first.sealed
    said, record = pruning_of(leaf, 1_000), Record.decode(leaf)
    assert said is not None
    assert (record.id, said.first, said.rule) == (id_, FIRST, "ledger-years:10")
    assert said.root == root_of_range(0, FIRST, LOG.node).hex()
    assert HeaderLeaf.decode(second.header).header.released is not None
    _, told = opened(part, record)
    assert b"tt-1" in told
    assert not any(name in leaf for name in (b"tt-1", b"gs-1"))
    assert sealed_under(record) == secret_of(officer(MPS, "gs-1")).pseudonym


def test_nothing_is_recorded_when_the_nation_keeps_it_or_nothing_is_that_old() -> None:
    for to, retention, why in (
        (given(), None, "no period"),
        (given(), TWENTY, "keeps its ledger for 20 years"),
        (given("2036-11-23"), TEN, "keeps its ledger for 10 years"),
        (given("2026-11-21"), TEN, "no whole bundle"),
        (given(act=Act.UNSEAL), TEN, "prunes nothing"),
    ):
        pages = FakePages()
        if retention is TWENTY:
            to = given("2026-11-23")
        with pytest.raises(Refused, match=why):
            order(pages, to, retention=retention)
        assert pages.pages == []


def test_it_ends_before_the_first_commit_that_is_not_older_by_any_clock() -> None:
    day = AT.replace(hour=0)
    days = [find_commit_behind(FEW, before=day + timedelta(days=n)) for n in range(4)]
    assert days == [None, 3, 7, 9]
    late = ledger(0, 99, 2)
    assert IndexCommit.decode(late.leaf(3)).latest == AT + timedelta(hours=99)
    assert find_commit_behind(late, before=day + timedelta(days=1)) == 1


def test_nothing_is_pruned_when_no_whole_bundle_is_old_enough() -> None:
    tomorrow = AT + timedelta(days=9)
    assert find_first_kept(FEW, before=tomorrow) is None
    assert find_first_kept(LOG, before=tomorrow) == 602
    assert find_first_kept(LOG, before=AT + timedelta(minutes=30)) is None


def test_a_year_is_kept_whole_when_it_is_a_leap_year() -> None:
    leap = datetime(2048, 2, 29, tzinfo=UTC)
    assert replace(TEN, ledger_years=1).kept_since(leap) == datetime(2047, 2, 28, tzinfo=UTC)


@pytest.mark.parametrize("day", ["2026-11-31", "20261122", "2026-11-22T00:00", "", "ab" * 16])
def test_an_order_to_prune_is_refused_when_it_names_no_day(day: str) -> None:
    with pytest.raises(OrderRefused, match="without a day"):
        given(day)


@pytest.mark.parametrize("years", [0, -1, 1.5, True, "20", 1001])
def test_a_retention_is_refused_when_it_is_no_number_of_years(years: object) -> None:
    with pytest.raises(InvalidAgreement):
        parse_retention({"ledger_years": years, "source": "a law"})


def test_orders_are_carried_out_by_the_process_that_may_prune() -> None:
    assert PROCESS == PRUNER
    assert Role.SUPERVISOR == "supervisor"
