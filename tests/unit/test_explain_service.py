"""Explanations through HTTP, in the words of AuthZEN: who may ask, and what is answered."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from civicbus_schemas.vocabulary import Reason

from tests.unit import lookup_samples as samples
from tests.unit.lookup_office import Answer, Office, post
from tests.unit.lookup_samples import BANK, VSS

ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"
SUBJECT = {"type": "agency", "id": "bank"}


def resource(*fields: str, **changes: Any) -> dict[str, Any]:
    return {
        "type": "dataset",
        "id": "population.Person",
        "properties": {"fields": list(fields or ["marital_status"])},
    } | changes


def context(**changes: Any) -> dict[str, Any]:
    return {"purpose": samples.CREDIT, "day": "2026-11-22", "consent": True, "age": 36} | changes


def evaluation(**changes: Any) -> dict[str, Any]:
    """The bank may verify this field of a grown person who consented; None leaves a part out."""
    document = {
        "subject": SUBJECT,
        "action": {"name": "verify"},
        "resource": resource(),
        "context": context(),
    }
    return {name: part for name, part in (document | changes).items() if part is not None}


def ask(document: Any, *, path: str = ONE, agency: Any = BANK, **headers: str) -> Answer:
    async def steps(client: httpx.AsyncClient) -> Answer:
        return await post(client, document, agency=agency, path=path, **headers)

    answer = Office().serve(steps)
    assert isinstance(answer, Answer)
    return answer


def test_decision_comes_with_its_ground_when_it_is_permitted() -> None:
    answer = ask(evaluation(), x_request_id="q-1")
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "q-1")
    told = answer.json()
    assert told["decision"] is True
    assert told["context"]["agreement"] == "bank.borrower-check@1"
    assert told["context"]["policy_version"] == samples.policy().version
    assert "needed" not in told["context"]


def test_decision_comes_with_what_is_needed_when_it_is_denied() -> None:
    told = ask(evaluation(context=context(consent=False, age=17))).json()
    assert told["decision"] is False
    assert told["context"]["reason"] == Reason.NO_CONSENT
    assert [need["reason"] for need in told["context"]["needed"]] == [
        Reason.NO_CONSENT,
        Reason.FORBIDDEN_BY_RULE,
    ]
    assert told["context"]["reason_user"].keys() == {"vi", "en"}


def test_nothing_is_recorded_when_nobody_is_named() -> None:
    office = Office()
    asyncio.run(_evaluate(office))
    assert (office.pages.pages, office.leases.held) == ([], [])


async def _evaluate(office: Office) -> None:
    transport = httpx.ASGITransport(office.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bus") as client:
        assert (await post(client, evaluation(), agency=BANK, path=ONE)).status_code == 200


@pytest.mark.parametrize("path", [ONE, MANY])
def test_agency_is_refused_when_it_asks_about_another(path: str) -> None:
    answer = ask(evaluation(), path=path, agency=VSS, accept_language="en")
    assert (answer.status_code, answer.json()["code"]) == (403, "not-yourself")


def test_agency_is_refused_when_it_has_no_token() -> None:
    answer = ask(evaluation(), authorization="")
    assert (answer.status_code, answer.json()["code"]) == (401, "token-malformed")


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"subject": None}, "subject"),
        ({"subject": {"type": "user", "id": "bank"}}, "subject.type"),
        ({"subject": SUBJECT | {"properties": {}}}, "subject"),
        ({"subject": {"type": "agency", "id": "../bank"}}, "subject.id"),
        ({"action": {"name": "delete"}}, "action.name"),
        ({"resource": resource(id="person 001390012345")}, "resource.id"),
        ({"resource": resource(properties={})}, "resource.properties.fields"),
        ({"resource": resource("sex", "sex")}, "resource.properties.fields"),
        ({"resource": resource("Robert'); --")}, "resource.properties.fields"),
        ({"context": {}}, "context.purpose"),
        ({"context": context(pin="001390012345")}, "context"),
        ({"context": context(day="22.11.2026")}, "context.day"),
        ({"context": context(day="0001-01-01")}, "context.day"),
        ({"context": context(consent="yes")}, "context.consent"),
        ({"context": context(age=True)}, "context.age"),
        ({"context": context(age=-1)}, "context.age"),
        ({"evaluations": []}, "body"),
    ],
)
def test_question_is_refused_by_its_member_when_it_is_malformed(
    changes: dict[str, Any], member: str
) -> None:
    answer = ask(evaluation(**changes))
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-request")
    assert answer.json()["member"] == member
    assert "001390012345" not in answer.text


def test_items_take_the_defaults_when_they_leave_a_part_out() -> None:
    document = evaluation(
        evaluations=[
            {},
            {"action": {"name": "read"}},
            {"context": context(consent=False)},
            {"subject": {"type": "agency", "id": "vss"}},
            {"resource": 7},
            "verify",
        ]
    )
    answer = ask(document, path=MANY)
    assert answer.status_code == 200
    told = answer.json()["evaluations"]
    assert [item["decision"] for item in told] == [True, False, False, False, False, False]
    assert told[1]["context"]["reason"] == Reason.FIELD_NOT_IN_AGREEMENT
    assert [item["context"]["error"]["status"] for item in told[3:]] == [403, 400, 400]


@pytest.mark.parametrize(
    ("semantic", "decisions"),
    [
        ("execute_all", [True, False, True]),
        ("deny_on_first_deny", [True, False]),
        ("permit_on_first_permit", [True]),
    ],
)
def test_batch_goes_on_as_far_as_its_semantic_says(semantic: str, decisions: list[bool]) -> None:
    document = evaluation(
        evaluations=[{}, {"action": {"name": "read"}}, {}],
        options={"evaluations_semantic": semantic},
    )
    told = ask(document, path=MANY).json()["evaluations"]
    assert [item["decision"] for item in told] == decisions


@pytest.mark.parametrize("changes", [{}, {"evaluations": []}])
def test_batch_is_one_question_when_it_has_no_items(changes: dict[str, Any]) -> None:
    assert ask(evaluation(**changes), path=MANY).json() == ask(evaluation()).json()


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluations": {}},
        {"evaluations": [{}] * 101},
        {"options": {"evaluations_semantic": "guess"}},
        {"options": {"verbose": True}},
        {"subjects": []},
    ],
)
def test_batch_is_refused_when_it_is_malformed(changes: dict[str, Any]) -> None:
    answer = ask(evaluation(**changes), path=MANY)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-request")


def test_request_is_refused_when_it_is_too_large() -> None:
    body = json.dumps(evaluation(evaluations=[evaluation()] * 100 * 4)).encode()
    assert ask(body, path=MANY).json()["code"] == "request-too-large"
