"""The service over fakes, through HTTP: what callers see, and when they see nothing."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import httpx
import pytest
from civicbus_schemas.errors import Stopped, Unavailable
from civicbus_schemas.topics import STATE_CONSENT
from civicbus_schemas.vocabulary import Outcome, Reason

from tests.fakes.lookup import FakeLeases, FakePages, FakeView
from tests.unit import lookup_samples as samples
from tests.unit.lookup_office import PATH, Answer, Office, bearer, post
from tests.unit.lookup_samples import BANK, asked, verifying


def test_answer_comes_with_its_receipt_when_a_lookup_is_granted() -> None:
    office = Office()
    answer = office.look_up()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    [record] = office.records
    told = answer.json()
    assert told["result"] == {"fields": {"permanent_address": samples.ADDRESS}, "mode": "read"}
    assert told["receipt"]["record_id"] == record.id
    assert set(told["receipt"]) == {
        "record_id", "leaf_hash", "policy_version", "recorded_at", "others",
    }  # fmt: skip


def test_claims_are_answered_without_any_value_when_they_are_verified() -> None:
    office = Office(states=samples.states(samples.consent("full_name", "permanent_address")))
    claims = verifying(full_name=samples.NAME, permanent_address="1 phố Khác")
    answer = office.look_up(claims, agency=BANK)
    assert answer.json()["result"]["fields"] == {"full_name": True, "permanent_address": False}
    assert samples.ADDRESS not in answer.text


def test_refusal_names_its_rule_and_its_record_when_a_lookup_is_refused() -> None:
    office = Office()
    answer = office.look_up(asked(fields=["religion"]), accept_language="en")
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-language"] == "en"
    told = answer.json()
    assert (told["code"], told["fields"]) == (Reason.FIELD_NOT_IN_AGREEMENT, ["religion"])
    assert told["receipt"]["record_id"] == office.records[0].id


def test_refusal_names_the_national_rule_when_one_forbids_it_about_a_child() -> None:
    born = date.today().replace(day=1)  # noqa: DTZ011 - some day of this month is young enough
    office = Office(
        states=samples.states(samples.consent("full_name")),
        view=FakeView({samples.LAN: samples.person(date_of_birth=born)}),
    )
    claims = verifying(full_name=samples.NAME) | {"date_of_birth": born.isoformat()}
    told = office.look_up(claims, agency=BANK).json()
    assert (told["code"], told["rule"]) == ("forbidden-by-rule", "minors-for-named-purposes-only")
    assert office.records[0].rule == told["rule"]


@pytest.mark.parametrize("fault", ["fails", "lies"])
def test_there_is_no_data_when_the_record_is_not_acknowledged(fault: str) -> None:
    office = Office(pages=FakePages(fails=fault == "fails", lies=fault == "lies"))

    async def steps(client: httpx.AsyncClient) -> list[Answer]:
        first = await post(client)
        office.pages.fails = office.pages.lies = False
        return [first, await post(client)]

    refused, answered = office.ask(steps)
    assert (refused.status_code, refused.json()["code"]) == (503, "cannot-record")
    assert "result" not in refused.json()
    assert samples.ADDRESS not in refused.text
    assert answered.status_code == 200
    *_, last = [header for header in office.headers if header.records]
    assert last.sequence == 0  # a new chain: the failed recorder writes no more


def test_there_is_no_data_when_consents_or_view_are_out_of_reach() -> None:
    office = Office()

    async def steps(client: httpx.AsyncClient) -> list[str]:
        office.states.raises = Unavailable("the broker does not answer")
        undecided = await post(client)
        office.states.raises = None
        office.view.fails = True
        unread = await post(client)
        office.view.fails = False
        return [a.json().get("code", "result") for a in (undecided, unread, await post(client))]

    assert office.ask(steps) == ["cannot-decide", "view-unavailable", "result"]
    assert len(office.records) == 1


def test_there_is_no_data_when_the_lease_lapses_before_the_answer_leaves() -> None:
    office = Office()
    append = office.pages.append

    def lapse_meanwhile(body: bytes, **options: Any) -> None:
        append(body, **options)
        office.leases.now += 60

    office.pages.append = lapse_meanwhile  # type: ignore[method-assign]
    answer = office.look_up()
    assert (answer.status_code, answer.json()["code"]) == (503, "no-lease")
    assert samples.ADDRESS not in answer.text
    assert [record.decision for record in office.records] == [Outcome.PERMIT]
    assert all(header.released is None for header in office.headers)  # nobody says it was given


def test_there_is_no_data_when_no_lease_can_be_had() -> None:
    office = Office()

    async def steps(client: httpx.AsyncClient) -> list[str]:
        office.leases.fails = True
        office.leases.now += 60
        refused = await post(client)
        office.leases.fails = False
        return [a.json().get("code", "result") for a in (refused, await post(client))]

    assert office.ask(steps) == ["no-lease", "result"]
    assert len(office.records) == 1


def test_process_ends_and_refuses_when_nothing_may_be_decided_any_more() -> None:
    office = Office()

    async def steps(client: httpx.AsyncClient) -> Answer:
        office.states.raises = Stopped("no policy")
        return await post(client)

    answers: list[Answer] = []

    def until_it_ends() -> None:
        with office.working():
            answers.append(office.serve(steps))

    with pytest.raises(Stopped):
        until_it_ends()
    assert answers[0].status_code == 503
    assert office.records == []


def test_next_page_says_that_the_last_was_released_when_its_answers_have_left() -> None:
    office = Office()

    async def steps(client: httpx.AsyncClient) -> None:
        await post(client)
        await post(client)

    office.ask(steps)
    first, second, last = office.headers  # the last is the heartbeat of an orderly end
    assert first.released is None
    assert second.released is not None
    assert second.released.hash == office.pages.pages[0].hash
    assert last.released is not None
    assert last.released.hash == office.pages.pages[1].hash
    assert (last.records, last.sequence) == (0, 2)
    assert office.leases.held == []  # given back


def test_successor_closes_the_chain_where_its_predecessor_is_known_to_have_released() -> None:
    office = Office()
    office.look_up()
    kept = office.headers[-1].released
    assert kept is not None
    successor = Office(leases=FakeLeases(released=kept))
    successor.look_up()
    assert successor.headers[0].closes == kept


def test_lease_stays_behind_when_an_answer_is_still_on_its_way() -> None:
    office = Office()
    seen: list[int] = []
    append = office.pages.append

    def look_at_the_lease(body: bytes, **options: Any) -> None:
        office.states.offset = 99  # a withdrawal is folded while the page is written
        append(body, **options)
        seen.append(office.leases.position(STATE_CONSENT, 3))

    office.pages.append = look_at_the_lease  # type: ignore[method-assign]
    with office.working():
        office.serve(post)
        deadline = time.monotonic() + 10
        while office.leases.position(STATE_CONSENT, 3) < 99:
            assert time.monotonic() < deadline
    assert seen[0] == 10
    [decided] = [h for h in office.headers if h.records]
    assert {p.offset for p in decided.positions if p.topic == STATE_CONSENT} == {10}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", PATH, 405, "wrong-method"),
        ("POST", "/", 404, "unknown-path"),
        ("POST", PATH + "/'; drop table lease", 404, "unknown-path"),
    ],
)
def test_problem_is_told_when_there_is_nothing_to_post_to(
    method: str, path: str, status: int, code: str
) -> None:
    answer = Office().serve(lambda client: client.request(method, path))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"Authorization": ""}, b"{}", 401, "token-malformed"),
        ({"Content-Type": "text/plain"}, b"{}", 415, "wrong-media-type"),
        ({}, b"{}", 400, "malformed-request"),
        ({}, b"x" * 17_000, 413, "request-too-large"),
        ({"X-Officer": "a\tb", "Accept-Language": "'; drop"}, b"[]", 400, "malformed-request"),
    ],
)
def test_problem_is_told_when_a_request_is_not_one(
    headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    office = Office()
    answer = office.serve(lambda c: c.post(PATH, content=body, headers=bearer() | headers))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    assert office.records == []


def test_token_is_good_for_one_lookup_when_it_is_sent_again() -> None:
    office = Office()
    headers = bearer()

    async def twice(client: httpx.AsyncClient) -> list[int]:
        body = json.dumps(asked())
        answers = [await client.post(PATH, content=body, headers=headers) for _ in range(2)]
        return [answer.status_code for answer in answers]

    assert office.ask(twice) == [200, 401]
    assert len(office.records) == 1


def test_request_is_refused_when_its_body_comes_too_slowly() -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()  # the rest never comes
        yield b"}"

    office = Office()
    answer = office.serve(lambda c: c.post(PATH, content=drip(), headers=bearer()))
    assert (answer.status_code, answer.json()["code"]) == (408, "request-too-slow")


def test_request_is_refused_when_nobody_works() -> None:
    office = Office(answer_timeout_s=0.1)
    answer = office.serve(post)
    assert (answer.status_code, answer.json()["code"]) == (503, "overdue")
    assert answer.headers["retry-after"] == "1"


def test_reply_is_not_called_released_when_its_caller_gave_up_waiting() -> None:
    office = Office(answer_timeout_s=0.2)
    append, gone, recorded = office.pages.append, threading.Event(), threading.Event()

    def slowly(body: bytes, **options: Any) -> None:
        gone.wait(5)
        append(body, **options)
        recorded.set()

    office.pages.append = slowly  # type: ignore[method-assign]

    async def steps(client: httpx.AsyncClient) -> Answer:
        answer = await post(client)
        gone.set()
        assert await asyncio.to_thread(recorded.wait, 5)
        return answer

    assert office.ask(steps).status_code == 503
    assert all(header.released is None for header in office.headers)


def test_all_are_answered_when_many_ask_at_once() -> None:
    office = Office()

    async def steps(client: httpx.AsyncClient) -> list[Answer]:
        return list(await asyncio.gather(*(post(client) for _ in range(60))))

    answers = office.ask(steps)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["receipt"]["record_id"] for answer in answers}) == 60
    assert len(office.records) == 60
    assert len(office.pages.pages) < 60  # what waits shares a page
