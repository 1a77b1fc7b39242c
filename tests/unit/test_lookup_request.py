"""Bad requests: each names the member and the rule, none repeats what was written there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.problems import Problem, document
from civicbus_consumers.lookup.request import MAX_BODY_BYTES, MAX_FIELDS, Mode, parse_request

from tests.unit import lookup_samples as samples
from tests.unit.lookup_samples import asked, verifying

INJECTIONS = ["' or 1=1 --", "x'); drop table population.person; --", "a\r\nSet-Cookie: b=c"]


def _problem(body: Any) -> Problem:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Problem) as caught:
        parse_request(data)
    assert caught.value.code is Code.MALFORMED_REQUEST
    return caught.value


def test_request_is_read_when_it_is_complete() -> None:
    read = samples.request()
    assert (read.pin, read.mode, read.fields) == (samples.LAN, Mode.READ, ("permanent_address",))
    claimed = samples.request(verifying(full_name=samples.NAME, deceased_on=None))
    assert claimed.fields == ("full_name", "deceased_on")
    assert claimed.claims == {"full_name": samples.NAME, "deceased_on": None}
    assert not any(value in repr(read) for value in samples.PERSONAL)


@pytest.mark.parametrize("absent", ["officer", "purpose", "case", "mode", "fields"])
def test_request_is_refused_when_a_member_is_absent(absent: str) -> None:
    assert _problem(asked(**{absent: None})).members["member"] == absent


@pytest.mark.parametrize(
    "absent", [("pin",), ("date_of_birth",), ("pin", "date_of_birth"), ("full_name",)]
)
def test_request_is_refused_when_it_names_a_person_by_less_than_all_three(
    absent: tuple[str, ...],
) -> None:
    problem = _problem(asked(**dict.fromkeys(absent)))
    assert problem.members["rule"] == "full_name, date_of_birth and pin are needed together"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("officer", ""),
        ("officer", "   "),
        ("officer", "x" * 65),
        ("officer", 7),
        ("officer", ["a"]),
        ("full_name", "a\x00b"),
        ("full_name", "\ud800"),
        ("full_name", "Lan\u202e"),
        ("full_name", INJECTIONS[2]),
        ("date_of_birth", "1990-4-5"),
        ("date_of_birth", "1990-02-30"),
        ("date_of_birth", "19900405"),
        ("date_of_birth", 19900405),
        ("pin", "00139001234"),
        ("pin", "00139001234x"),
        ("pin", "٠٠١٣٩٠٠١٢٣٤٥"),
        ("pin", 1390012345),
        ("pin", INJECTIONS[0]),
        ("purpose", "Health Insurance"),
        ("purpose", INJECTIONS[1]),
        ("purpose", "a." + "b" * 200),
        ("case", "c" * 129),
        ("mode", "write"),
        ("mode", ["read"]),
        ("fields", []),
        ("fields", "permanent_address"),
        ("fields", ["permanent_address", "permanent_address"]),
        ("fields", [INJECTIONS[1]]),
        ("fields", [7]),
        ("fields", [f"field_{n}" for n in range(MAX_FIELDS + 1)]),
    ],
)
def test_request_is_refused_when_a_member_breaks_its_rule(member: str, value: Any) -> None:
    problem = _problem(asked(**{member: value}))
    assert problem.members["member"] == member
    written = str(value)
    told = document(problem, "en").decode() + document(problem, "vi").decode() + str(problem)
    assert not written.strip() or written not in told


@pytest.mark.parametrize(
    "claims",
    [
        {},
        ["full_name"],
        {"full_name": ["a", "b"]},
        {"full_name": {"or": 1}},
        {"full_name": 1.5},
        {"full_name": 2**53},
        {"full_name": "x" * 257},
        {"full name": "x"},
        {f"field_{n}": "x" for n in range(MAX_FIELDS + 1)},
    ],
)
def test_request_is_refused_when_its_claims_break_their_rule(claims: Any) -> None:
    problem = _problem(asked(mode="verify", fields=None) | {"claims": claims})
    assert problem.members["member"] == "claims"


def test_request_is_refused_when_mode_and_members_disagree() -> None:
    _problem(asked(mode="verify"))
    _problem(verifying() | {"mode": "read"})
    _problem(verifying() | {"fields": ["full_name"]})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"\xff\xfe",
        b"[" * 16_000,
        b'{"pin": NaN}',
        json.dumps(asked() | {"debug": True}).encode(),
        json.dumps(asked()).encode().replace(b'{"officer"', b'{"pin": "1", "officer"', 1),
    ],
)
def test_request_is_refused_when_the_body_is_not_one_strict_object(body: bytes) -> None:
    assert _problem(body).members["member"] == "body"


def test_request_is_refused_when_it_is_larger_than_the_limit() -> None:
    body = json.dumps(asked()).encode().ljust(MAX_BODY_BYTES + 1)
    with pytest.raises(Problem) as caught:
        parse_request(body)
    assert caught.value.code is Code.TOO_LARGE
