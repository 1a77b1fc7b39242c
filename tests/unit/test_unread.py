"""What lies unread: asked by record, told by record and time, to one process only."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from civicbus_consumers.lookup.door import compose
from civicbus_consumers.runtime.health import Health
from civicbus_consumers.unread.app import look
from civicbus_consumers.unread.reading import MAX_GROUPS, groups_of
from civicbus_consumers.unread.rules import (
    MAX_ASKED,
    SLACK,
    Asked,
    answer_document,
    parse_answer,
    parse_asked,
    windows_of,
)
from civicbus_consumers.unread.service import PATH, UnreadService
from civicbus_schemas.errors import InvalidBytes, InvalidIdentifier, Overdue, Unavailable
from civicbus_schemas.ids import AgencyId, RecordId

from tests.fakes.unread import FakeUnread
from tests.unit.test_enforcement_worker import Rounds

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
TOKEN = "t" * 43
ASKED = Asked(
    record=RecordId("0a" * 16),
    recipient=AgencyId("bank"),
    family="identity",
    partition=3,
    at=AT,
)


def test_delivery_is_found_from_its_source_topic_and_the_record() -> None:
    made = Asked.of(
        record=ASKED.record,
        recipient="bank",
        source="src.identity.identity.v1",
        partition=3,
        at=AT,
    )
    assert (made, made.place) == (ASKED, ("dlv.bank.identity.v1", 3))


def test_no_other_topic_is_asked_about_when_the_source_is_none() -> None:
    with pytest.raises(InvalidIdentifier):
        Asked.of(record=ASKED.record, recipient="bank", source="audit.page.v1", partition=0, at=AT)


def test_question_and_answer_come_back_when_they_are_sent() -> None:
    sent = json.loads(json.dumps({"deliveries": [ASKED.document()]}))
    assert parse_asked(sent) == (ASKED,)
    told = {ASKED.record: AT}
    assert parse_answer(answer_document(told), [ASKED]) == told


@pytest.mark.parametrize(
    "spoil",
    [
        {"record": "0a"},
        {"record": None},
        {"recipient": "BANK"},
        {"family": "../audit"},
        {"partition": 12},
        {"partition": -1},
        {"partition": True},
        {"at": "2026-11-22"},
        {"at": "2026-11-22T08:00:00"},
        {"more": 1},
    ],
)
def test_question_is_refused_when_a_member_is_not_as_it_must_be(spoil: dict[str, Any]) -> None:
    with pytest.raises(InvalidBytes):
        parse_asked({"deliveries": [ASKED.document() | spoil]})


@pytest.mark.parametrize(
    "document", [{}, {"deliveries": {}}, {"deliveries": [], "more": 1}, {"deliveries": ["x"]}]
)
def test_question_is_refused_when_it_is_no_list_of_deliveries(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidBytes):
        parse_asked(document)


def test_question_is_refused_when_it_asks_for_too_many() -> None:
    with pytest.raises(InvalidBytes):
        parse_asked({"deliveries": [ASKED.document()] * (MAX_ASKED + 1)})


@pytest.mark.parametrize(
    "document", [{}, {"unread": []}, {"unread": {"0b" * 16: "x"}}, {"unread": {"0a" * 16: "x"}}]
)
def test_answer_is_refused_when_it_tells_of_something_else(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidBytes):
        parse_answer(document, [ASKED])


def test_each_partition_is_read_between_its_own_records_only() -> None:
    later = replace(ASKED, record=RecordId("0b" * 16), at=AT + timedelta(hours=1))
    other = replace(ASKED, record=RecordId("0c" * 16), partition=4)
    first, second = windows_of([ASKED, other, later])
    assert first.records == {ASKED.record, later.record}
    assert (first.since, first.until) == (AT - SLACK, later.at + SLACK)
    assert (second.place, second.records) == (("dlv.bank.identity.v1", 4), {other.record})
    assert windows_of([]) == ()


def ask(
    deliveries: FakeUnread, document: Any = None, *, token: str | None = TOKEN
) -> httpx.Response:
    """One question over HTTP."""
    service = UnreadService(deliveries=deliveries, token=TOKEN, body_timeout_s=0.3)

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(compose(*service.routes()), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://bus") as client:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            body = {"deliveries": [ASKED.document()]} if document is None else document
            return await client.post(PATH, json=body, headers=headers)

    return asyncio.run(post())


def test_the_holder_of_the_token_is_told() -> None:
    answer = ask(FakeUnread({ASKED.record: AT}))
    assert (answer.status_code, answer.json()) == (200, {"unread": {ASKED.record: AT.isoformat()}})
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("token", "code"),
    [(None, "token-missing"), ("", "token-forged"), (TOKEN[:-1], "token-forged")],
)
def test_nothing_is_read_when_the_token_is_not_brought(token: str | None, code: str) -> None:
    deliveries = FakeUnread({ASKED.record: AT})
    answer = ask(deliveries, token=token)
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert deliveries.asked == []


def test_nothing_is_told_when_the_question_or_the_broker_fails() -> None:
    assert ask(FakeUnread(), {"deliveries": "all"}).json()["code"] == "malformed-request"
    failed = ask(FakeUnread(fails=True))
    assert (failed.status_code, failed.json()["code"]) == (503, "cannot-decide")


def test_each_recipient_has_its_own_groups_when_all_are_listed_once() -> None:
    listed = ["bank.a", "bank.b", "banker.a", "vss.a"]
    bank, vss, moh = map(AgencyId, ("bank", "vss", "moh"))
    told = groups_of({bank, vss, moh}, listed)
    assert told == {bank: ["bank.a", "bank.b"], vss: ["vss.a"], moh: []}


def test_nothing_is_told_when_a_recipient_has_more_groups_than_can_be_asked() -> None:
    bank, listed = AgencyId("bank"), [f"bank.{number}" for number in range(MAX_GROUPS + 1)]
    assert len(groups_of({bank}, listed[1:])[bank]) == MAX_GROUPS
    with pytest.raises(Overdue):
        groups_of({bank}, listed)


class Broker:
    """Says nothing the first time that it is asked. `told`: what was said before each time."""

    def __init__(self, health: Health) -> None:
        self.health, self.told = health, list[bytes]()

    def check(self) -> None:
        """As it goes."""
        self.told.append(self.health.answer("/readyz")[2])
        if len(self.told) == 1:
            raise Unavailable("Kafka does not answer")


def test_it_is_ready_only_while_the_broker_answers() -> None:
    broker = Broker(Health())
    look(broker, broker.health, Rounds(3))
    assert broker.told == [b"starting\n", b"Kafka does not answer.\n", b"ready\n"]
