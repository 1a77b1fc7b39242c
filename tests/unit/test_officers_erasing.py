"""Erasure: a leaf before the secret is gone, and nothing where something stands against it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from civicbus_consumers.officers.erasing import erase
from civicbus_consumers.officers.orders import Act, Given, Order
from civicbus_consumers.officers.rules import Official, Role
from civicbus_consumers.recording.seal import sealed_under
from civicbus_deploy.oversight.erasing import hindrance
from civicbus_schemas.errors import BusError, Refused, Unavailable
from civicbus_schemas.page import HeaderLeaf
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.record import Record, commitment
from civicbus_schemas.subject import Subject, case, officer, person
from civicbus_schemas.vocabulary import Outcome, RecordKind

from tests.fakes.lookup import FakePages
from tests.fakes.officers import entry
from tests.fakes.vault import FakeVault, opened, secret_of
from tests.unit.lookup_samples import LAN, MOTHER, recorder
from tests.unit.officers_office import MPS, deferred, history

WHO = secret_of(person(LAN)).pseudonym
APPROVER = Official(agency=MPS, name="gs-1", role=Role.SUPERVISOR)
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_an_erasure_waits_for_open_investigations_and_reviews() -> None:
    """Denied readings and other people's hinder nothing."""
    shelf = history()
    assert hindrance(WHO, shelf.find) == "an investigation that goes on"
    shelf.entries = [entry for entry in shelf.entries if entry.index != 3]
    assert hindrance(WHO, shelf.find) is None
    shelf.entries.append(replace(deferred(10, "c" * 32), decision=Outcome.DENY))
    assert hindrance(WHO, shelf.find) is None
    broken = entry(11, subject=WHO, decision=Outcome.BREAKGLASS)
    shelf.entries.append(replace(broken, subject=secret_of(person(MOTHER)).pseudonym))
    assert hindrance(WHO, shelf.find) is None
    shelf.entries.append(replace(broken, index=12, id="c" * 32))
    assert hindrance(WHO, shelf.find) == "an emergency that was not reviewed"
    shelf.entries.append(entry(13, kind=RecordKind.BREAK_GLASS_REVIEW, about="c" * 32))
    assert hindrance(WHO, shelf.find) is None


def given(act: Act = Act.ERASE) -> Given:
    order = Order(act=act, about=WHO, reason="Điều 16")
    asker = Official(agency=MPS, name="tt-1", role=Role.OFFICER)
    return Given(order=order, asked_by=asker, approved_by=APPROVER)


def met() -> FakeVault:
    vault = FakeVault()
    vault.get_or_create([person(LAN)])
    return vault


def carry_out(
    vault: FakeVault, pages: FakePages, *, order: Given | None = None, why: str | None = None
) -> str:
    return erase(
        order or given(),
        vault=vault,
        eraser=vault,
        recorder=recorder(pages),
        hindrance=lambda _: why,
        now=NOW,
    )


def test_the_secret_is_gone_and_the_leaf_names_no_more_than_the_old_pseudonym() -> None:
    vault, pages = met(), FakePages()
    id_ = carry_out(vault, pages)
    assert vault.named([WHO]) == {}
    first, second = pages.pages
    [leaf], [part] = first.records, first.sealed
    record = Record.decode(leaf)
    assert (record.id, record.kind, record.subject) == (id_, RecordKind.SUBJECT_ERASURE, WHO)
    assert not any(word in leaf for word in (LAN.number.encode(), b"gs-1", b"tt-1"))
    assert HeaderLeaf.decode(second.header).header.released is not None, "it was done"
    salt, told = opened(part, record)
    assert record.sealed == commitment(salt, told)
    assert b"tt-1" in told
    assert "Điều 16".encode() in told
    assert sealed_under(record) == secret_of(officer(MPS, "gs-1")).pseudonym


def test_nothing_is_done_when_something_stands_against_it_or_nobody_is_there() -> None:
    for vault, order, why in (
        (met(), given(), "an open investigation"),
        (met(), given(Act.UNSEAL), None),
        (FakeVault(), given(), None),
    ):
        pages, before = FakePages(), dict(vault.rows)
        with pytest.raises(Refused):
            carry_out(vault, pages, order=order, why=why)
        assert (pages.pages, vault.rows) == ([], before)


@pytest.mark.parametrize("subject", [officer(MPS, "tt-7"), case(MPS, "TT-2026/0007")])
def test_nothing_is_done_when_an_officer_or_a_case_is_to_be_erased(subject: Subject) -> None:
    """Both officials together cannot take away who did something, or in which case."""
    vault, pages = met(), FakePages()
    name = vault.get_or_create([subject])[subject].pseudonym
    order = replace(given(), order=Order(act=Act.ERASE, about=name, reason="Điều 16"))
    with pytest.raises(Refused, match="no person of this name"):
        carry_out(vault, pages, order=order)
    assert pages.pages == []
    assert name in vault.named([LedgerPseudonym(name)])


class Idle(FakeVault):
    """A vault that destroys nothing, and says so."""

    def destroy(self, pseudonym: LedgerPseudonym) -> bool:
        del pseudonym
        return False


def test_nobody_says_that_it_was_done_when_the_vault_destroyed_nothing() -> None:
    vault, pages = Idle(), FakePages()
    vault.get_or_create([person(LAN)])
    with pytest.raises(Unavailable, match="destroyed no secret"):
        carry_out(vault, pages)
    [page] = pages.pages
    assert HeaderLeaf.decode(page.header).header.released is None


@pytest.mark.parametrize("fault", ["fails", "lies"])
def test_the_secret_stays_when_the_leaf_is_not_known_to_be_durable(fault: str) -> None:
    vault, pages = met(), FakePages(**{fault: True})  # type: ignore[arg-type]
    with pytest.raises(BusError):
        carry_out(vault, pages)
    assert WHO in vault.named([WHO])
    pages.fails = pages.lies = False
    carry_out(vault, pages)  # again, whatever became of the first leaf
    assert vault.named([WHO]) == {}


def test_no_page_says_that_it_was_done_when_the_secret_could_not_be_destroyed() -> None:
    class Silent(FakeVault):
        def destroy(self, pseudonym: object) -> bool:
            raise Unavailable("the vault does not answer", got=pseudonym)

    vault, pages = Silent(), FakePages()
    vault.get_or_create([person(LAN)])
    with pytest.raises(Unavailable):
        carry_out(vault, pages)
    [page] = pages.pages
    assert HeaderLeaf.decode(page.header).header.released is None
    assert WHO in vault.named([WHO])
