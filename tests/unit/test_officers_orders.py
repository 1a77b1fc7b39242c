"""Dual control: what two officials have given, and everything that only looks like it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from civicbus_consumers.officers import orders
from civicbus_consumers.officers.orders import LIFE_S, Act, Given, Order, OrderRefused
from civicbus_consumers.officers.rules import Role
from civicbus_consumers.runtime import jwt
from civicbus_deploy.oversight.orders import app
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.errors import Misused
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from tests.unit.lookup_samples import SIGNER
from tests.unit.officers_office import BANK, ISSUERS, MPS

NOW = 1_795_000_000.0
ORDER = Order(act=Act.ERASE, about="ab" * 16, reason="Yêu cầu của công dân, Điều 16")
ASKED = orders.request(ORDER, SIGNER, issuer=MPS, name="tt-1", now=NOW)
APPROVED = orders.approve(ORDER, ASKED, SIGNER, issuer=MPS, name="gs-1", now=NOW)


def verify(order: Order = ORDER, asked: str = ASKED, by: str = APPROVED, at: float = NOW) -> Given:
    return orders.verify(order, asked, by, issuers=ISSUERS, now=at)


def approve(name: str = "gs-1", *, order: Order = ORDER, asked: str = ASKED) -> str:
    return orders.approve(order, asked, SIGNER, issuer=MPS, name=name, now=NOW)


def test_an_order_holds_when_two_officials_gave_it_within_a_day() -> None:
    for at in (NOW - 2, NOW, NOW + LIFE_S - 1):
        given = verify(at=at)
        assert (given.asked_by.name, given.asked_by.role) == ("tt-1", Role.OFFICER)
        assert (given.approved_by.name, given.approved_by.role) == ("gs-1", Role.SUPERVISOR)
        assert given.order == ORDER


@pytest.mark.parametrize("name", ["tt-1", "TT-1", " tt-1 ", "ｔｔ-1"])
def test_an_order_is_refused_when_one_person_asks_and_approves(name: str) -> None:
    with pytest.raises(OrderRefused, match="one person"):
        verify(by=approve(name))


@pytest.mark.parametrize("at", [NOW - 3, NOW + LIFE_S])
def test_an_order_is_refused_when_it_is_of_tomorrow_or_of_yesterday(at: float) -> None:
    with pytest.raises(OrderRefused, match="not of now"):
        verify(at=at)


@pytest.mark.parametrize(
    "change", [{"act": Act.UNSEAL}, {"about": "cd" * 16}, {"reason": "another"}]
)
def test_an_order_is_refused_when_another_was_signed(change: dict[str, str]) -> None:
    other = replace(ORDER, **change)  # type: ignore[arg-type]
    with pytest.raises(OrderRefused, match="request is about another"):
        verify(other)
    with pytest.raises(OrderRefused, match="approval is about another"):
        verify(by=approve(order=other))


def test_an_approval_is_refused_when_it_is_of_another_request() -> None:
    again = orders.request(ORDER, SIGNER, issuer=MPS, name="tt-1", now=NOW)
    with pytest.raises(OrderRefused, match="approval is about another"):
        verify(by=approve(asked=again))


def test_an_order_is_refused_when_roles_are_exchanged_or_one_signs_for_both() -> None:
    for asked, by in ((APPROVED, ASKED), (ASKED, ASKED), (APPROVED, APPROVED)):
        with pytest.raises(OrderRefused):
            verify(asked=asked, by=by)


def test_an_order_is_refused_when_its_issuer_may_not_vouch_for_the_role() -> None:
    asked = orders.request(ORDER, SIGNER, issuer=BANK, name="tt-1", now=NOW)
    with pytest.raises(OrderRefused, match="another role"):
        verify(asked=asked, by=approve(asked=asked))


HEAD, BODY, SIGNATURE = APPROVED.split(".")
STRANGER = Ed25519PrivateKey.from_private_bytes(b"x" * 32)


@pytest.mark.parametrize(
    ("by", "why"),
    [
        (orders.approve(ORDER, ASKED, STRANGER, issuer=MPS, name="gs-1", now=NOW), "not verify"),
        (orders.approve(ORDER, ASKED, SIGNER, issuer="nobody", name="gs-1", now=NOW), "not known"),
        (f"{HEAD}.{approve('gs-2').split('.')[1]}.{SIGNATURE}", "signature does not verify"),
        (f"{HEAD}.{BODY}.{SIGNATURE[::-1]}", "signature does not verify"),
        (f"{HEAD}.{BODY[::-1]}.{SIGNATURE}", "signature cannot verify"),
        (f"{HEAD}.{BODY}.!", "signature cannot verify"),
        (f"{HEAD}.{BODY}", "signature cannot verify"),
        ("", "the approval is missing"),
    ],
    ids=["stranger", "issuer", "claims", "signature", "body", "no base64", "unsigned", "none"],
)
def test_what_is_wrong_is_told_when_an_approval_is_forged(by: str, why: str) -> None:
    with pytest.raises(OrderRefused, match=why):
        verify(by=by)


@pytest.mark.parametrize("change", [{"aud": "civicbus-officers"}, {"exp": 2**39}, {"extra": 1}])
def test_a_token_is_refused_when_it_was_made_for_something_else(change: dict[str, object]) -> None:
    claims = jwt.read_bearer(f"Bearer {APPROVED}").claims | change
    with pytest.raises(OrderRefused):
        verify(by=jwt.sign(claims, SIGNER))


FILE = canonical_json(
    {"act": ORDER.act, "about": ORDER.about, "reason": ORDER.reason, "request": ASKED}
)


def test_an_order_is_read_when_it_is_written_as_it_must_be() -> None:
    assert orders.parse_order(FILE) == (ORDER, {"request": ASKED})


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 8000,
        b'{"a":' * 8000,
        FILE.replace(b"{", b'{"reason":"another",', 1),
        b"\xff",
        b"[]",
        b"",
    ],
    ids=["deep list", "deep object", "a key twice", "no UTF-8", "a list", "nothing"],
)
def test_an_order_is_refused_when_its_bytes_are_not_one_plain_object(body: bytes) -> None:
    with pytest.raises(OrderRefused, match="not an order"):
        orders.parse_order(body)


@pytest.mark.parametrize("command", [["approve", "--name", "gs-1"], ["carry-out"]])
def test_a_command_refuses_an_order_that_nobody_requested(
    command: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "order.json"
    file.write_bytes(
        canonical_json({"act": ORDER.act, "about": ORDER.about, "reason": ORDER.reason})
    )
    with pytest.raises(OrderRefused, match="not an order"):
        CliRunner().invoke(
            app, [*command, str(file), "--home", str(tmp_path)], catch_exceptions=False
        )


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ("ab", "why"),
        ("AB" * 16, "why"),
        ("ab" * 16, " "),
        ("ab" * 16, "a\nb"),
        ("ab" * 16, "x" * 201),
    ],
)
def test_an_order_is_none_when_it_names_nothing_or_no_reason(about: str, reason: str) -> None:
    with pytest.raises(OrderRefused):
        Order(act=Act.ERASE, about=about, reason=reason)


QUESTION = '{"case":"TT-2026/7","find":{"pin":"001390012345"},"purpose":"oversight.complaint"}'


@pytest.mark.parametrize(
    "about",
    [
        "ab" * 16,
        QUESTION.replace(",", ", "),
        QUESTION.replace("001390012345", "7"),
        QUESTION.replace('"purpose"', '"limit":9,"purpose"'),
        "{}",
    ],
    ids=["a name", "another spelling", "no PIN", "a page of it", "nothing"],
)
def test_an_order_to_export_is_none_when_it_is_no_question_in_its_one_spelling(about: str) -> None:
    assert Order(act=Act.EXPORT, about=QUESTION, reason="why").question.case == "TT-2026/7"
    with pytest.raises(OrderRefused, match="without a question"):
        Order(act=Act.EXPORT, about=about, reason="why")


def test_a_request_to_export_names_what_is_wrong_when_its_question_is_malformed(
    tmp_path: Path,
) -> None:
    wanted = ["request", str(tmp_path / "o.json"), "--name", "tt-1", "--reason", "r"]
    with pytest.raises(Misused, match=r"asks for no bundle; got find\.pin: 1 characters"):
        CliRunner().invoke(
            app,
            [*wanted, "--export", "-", "--home", str(tmp_path)],
            input=QUESTION.replace("001390012345", "7"),
            catch_exceptions=False,
        )
