"""Unsealing: on record before it shows, and never without two officials."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from civicbus_consumers.lookup.door import compose
from civicbus_consumers.officers import orders
from civicbus_consumers.officers.erasing import erase
from civicbus_consumers.officers.order_service import PATH, OrderService
from civicbus_consumers.officers.orders import Act, Given, Order
from civicbus_consumers.officers.rules import Official, Role
from civicbus_consumers.officers.unsealing import Sealed, Unsealer
from civicbus_consumers.recording.seal import SALT_BYTES
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.page import HeaderLeaf
from civicbus_schemas.record import Record
from civicbus_schemas.subject import person
from civicbus_schemas.vocabulary import RecordKind

from tests.fakes.lookup import FakePages
from tests.fakes.vault import FakeVault, opened, secret_of
from tests.unit import lookup_samples as samples
from tests.unit.officers_office import ISSUERS, MPS

NOTHING_SEALED = (404, "nothing-sealed")
WHO = secret_of(person(samples.LAN)).pseudonym


@dataclass
class FakeParts:
    """One look-up's record and part; `fails`: does not answer."""

    sealed: Sealed
    fails: bool = False

    def find(self, record_id: str) -> Sealed | None:
        """The record, if it is that one."""
        if self.fails:
            raise Unavailable("the index does not answer")
        return self.sealed if self.sealed.record.id == record_id else None


def looked_up() -> FakeParts:
    pages = FakePages()
    samples.answer_batch([samples.lookup()], samples.bench(), recorder=samples.recorder(pages))
    [page] = pages.pages
    return FakeParts(Sealed(record=Record.decode(page.records[0]), part=page.sealed[0]))


@dataclass
class Place:
    """The endpoint on fakes."""

    parts: FakeParts = field(default_factory=looked_up)
    pages: FakePages = field(default_factory=FakePages)
    vault: FakeVault = field(default_factory=FakeVault)

    def __post_init__(self) -> None:
        self.vault.get_or_create([person(samples.LAN)])

    def post(self, *, act: Act = Act.UNSEAL, about: str | None = None, by: str = "gs-1") -> Any:
        """An order that tt-1 requests now, through HTTP."""
        now, key = time.time(), samples.SIGNER
        order = Order(act=act, about=about or self.parts.sealed.record.id, reason="khiếu nại")
        asked = orders.request(order, key, issuer=MPS, name="tt-1", now=now)
        approved = orders.approve(order, asked, key, issuer=MPS, name=by, now=now)
        document = {"act": order.act, "about": order.about, "reason": order.reason}
        return self.send(document | {"request": asked, "approval": approved})

    def show_first_page(self) -> None:
        """From now on the place holds what was recorded first in it."""
        page, *_ = self.pages.pages
        self.parts = FakeParts(Sealed(record=Record.decode(page.records[0]), part=page.sealed[0]))

    def send(self, document: object) -> Any:
        """That body."""
        unsealer = Unsealer(
            self.parts,
            begin_recorder=lambda closes: samples.recorder(self.pages, closes),
            vault=self.vault,
        )
        service = OrderService(unsealer=unsealer, issuers=ISSUERS, body_timeout_s=1.0)
        app = compose(*service.routes())

        async def steps() -> httpx.Response:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://bus") as client:
                return await client.post(PATH, json=document)

        return asyncio.run(steps())


def told(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_officer_and_case_are_told_and_the_leaf_was_first_when_two_order_it() -> None:
    place = Place()
    answer = place.post()
    assert answer.status_code == 200, answer.text
    contents = answer.json()["contents"]
    assert (contents["officer"], contents["case"]) == (samples.OFFICER, samples.CASE)
    first, second = place.pages.pages
    [leaf], [part] = first.records, first.sealed
    record = Record.decode(leaf)
    assert answer.json()["receipt"]["record_id"] == record.id
    assert (record.kind, record.subject) == (RecordKind.PART_UNSEALING, WHO)
    assert record.req is not None
    assert record.req.id == place.parts.sealed.record.id
    assert HeaderLeaf.decode(second.header).header.released is not None
    assert json.loads(opened(part, record)[1])["asked_by"]["officer"] == "tt-1"
    assert b"gs-1" not in leaf


def test_who_ordered_an_erasure_is_told_when_the_erased_is_gone() -> None:
    place = Place()
    asker, by = (Official(agency=MPS, name=name, role=Role.OFFICER) for name in ("tt-2", "gs-2"))
    order = Order(act=Act.ERASE, about=WHO, reason="Điều 16")
    erase(
        Given(order=order, asked_by=asker, approved_by=by),
        vault=place.vault,
        eraser=place.vault,
        recorder=samples.recorder(place.pages),
        hindrance=lambda _: None,
        now=datetime(2026, 11, 22, tzinfo=UTC),
    )
    place.show_first_page()
    contents = place.post().json()["contents"]
    assert (contents["asked_by"]["officer"], contents["reason"]) == ("tt-2", "Điều 16")


def test_who_ordered_an_unsealing_is_told_when_the_person_was_erased_afterwards() -> None:
    """Else whoever erases a person takes away who looked at him."""
    place = Place()
    assert place.post().status_code == 200
    assert place.vault.destroy(WHO)
    place.show_first_page()
    answer = place.post(by="gs-2")
    assert answer.status_code == 200, answer.text
    assert answer.json()["contents"]["asked_by"]["officer"] == "tt-1"
    assert answer.json()["contents"]["approved_by"]["officer"] == "gs-1"


@pytest.mark.parametrize("fault", ["fails", "lies"])
def test_nothing_is_told_when_it_is_not_known_to_be_on_record(fault: str) -> None:
    place = Place(pages=FakePages(**{fault: True}))  # type: ignore[arg-type]
    assert told(place.post()) == (503, "cannot-record")


def test_nothing_is_recorded_or_told_when_two_have_not_ordered_it() -> None:
    place = Place()
    for answer in (place.post(by="tt-1"), place.post(act=Act.ERASE), place.send({}), place.send(1)):
        assert told(answer) == (403, "order-refused")
    assert place.pages.pages == []


def test_nothing_is_recorded_or_told_when_nothing_is_sealed_there_any_more() -> None:
    place = Place()
    assert told(place.post(about="ab" * 16)) == NOTHING_SEALED
    sealed = place.parts.sealed
    for part, answer in ((b"", (500, "evidence-broken")), (bytes(SALT_BYTES), NOTHING_SEALED)):
        place.parts.sealed = replace(sealed, part=part)
        assert told(place.post()) == answer
    place.parts.sealed = sealed
    place.vault.destroy(WHO)
    assert told(place.post()) == (404, "nothing-sealed")
    assert place.pages.pages == []


def test_nobody_is_called_shown_when_the_part_is_not_what_the_record_commits_to() -> None:
    place = Place()
    sealed = place.parts.sealed
    place.parts.sealed = replace(sealed, record=replace(sealed.record, sealed="0" * 64))
    assert told(place.post()) == (500, "evidence-broken")
    [page] = place.pages.pages
    assert HeaderLeaf.decode(page.header).header.released is None


@pytest.mark.parametrize("which", ["vault", "parts"])
def test_nothing_is_recorded_when_vault_or_index_do_not_answer(which: str) -> None:
    place = Place()
    getattr(place, which).fails = True
    assert told(place.post()) == (503, "index-unavailable")
    assert place.pages.pages == []
