"""Orders that two officials give together: an officer asks, a supervisor of another name approves.

Each signs the hash of the same order with a token of its issuer (`runtime.jwt`), and the approval
names the request. An order says what is done, to whom or what, and why; it holds for a day.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from civicbus_schemas.codec import canonical_json
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import AgencyId
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from civicbus_consumers.lookup.problems import Problem
from civicbus_consumers.lookup.request import json_object
from civicbus_consumers.officers.request import canonical, parse_export
from civicbus_consumers.officers.rules import Asker, Official, Question, Role
from civicbus_consumers.officers.token import Issuer
from civicbus_consumers.runtime.jwt import MalformedToken, read_bearer, sign

AUDIENCE = "civicbus-orders"
LIFE_S = 24 * 3600
SKEW_S = 2
MAX_REASON = 200

_CLAIMS = {"iss", "sub", "role", "aud", "iat", "exp", "jti", "order", "request"}
_NAME = re.compile(r"[0-9a-f]{32}")


class OrderRefused(Refused):
    """Two officials have not given this order; the text says what is missing."""


class Act(StrEnum):
    """What two officials are needed for."""

    ERASE = "erase"
    UNSEAL = "unseal"
    PRUNE = "prune"
    EXPORT = "export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be done: to a subject by its name in records, or to a record by its id; and why.

    Both are 32 hex characters. What is pruned is what is older than a day (`2026-11-22`, UTC);
    what is exported is what a question in its one spelling asks for (`request.canonical`). Raises
    `OrderRefused` for anything else.
    """

    act: Act
    about: str = field(repr=False)
    reason: str = field(repr=False)

    def __post_init__(self) -> None:
        match self.act:
            case Act.PRUNE:
                _ = self.before
            case Act.EXPORT:
                _ = self.question
            case _ if not _NAME.fullmatch(self.about):
                raise OrderRefused("an order about nothing", expected="32 hex characters")
        printable = not any(unicodedata.category(letter)[0] == "C" for letter in self.reason)
        if not 0 < len(self.reason.strip()) <= MAX_REASON or not printable:
            raise OrderRefused("an order needs a reason", expected=f"1 to {MAX_REASON} characters")

    @property
    def before(self) -> datetime:
        """The day before which an order to prune prunes; raises `OrderRefused`."""
        try:
            day = date.fromisoformat(self.about)
        except ValueError:
            day = None
        if day is None or day.isoformat() != self.about:
            raise OrderRefused("an order to prune without a day", expected="such as 2026-11-22")
        return datetime(day.year, day.month, day.day, tzinfo=UTC)

    @property
    def question(self) -> Question:
        """What an order to export asks for; raises `OrderRefused`."""
        asked = self.about.encode()
        try:
            question = parse_export(asked)
        except Problem:
            question = None
        if question is None or canonical(question) != asked:
            raise OrderRefused(
                "an order to export without a question", expected="purpose, case and find, as JSON"
            )
        return question

    @property
    def hash(self) -> str:
        """What both sign."""
        document = {"act": self.act.value, "about": self.about, "reason": self.reason}
        return hashlib.sha256(canonical_json(document)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An order that two officials have given."""

    order: Order
    asked_by: Official
    approved_by: Official


def request(order: Order, key: Ed25519PrivateKey, *, issuer: str, name: str, now: float) -> str:
    """An officer's token that asks for this."""
    return _signed(order, key, issuer=issuer, name=name, role=Role.OFFICER, now=now, to=None)


def approve(
    order: Order,
    requested: str,
    key: Ed25519PrivateKey,
    *,
    issuer: str,
    name: str,
    now: float,
) -> str:
    """A supervisor's token that approves that request."""
    to = _hash(requested)
    return _signed(order, key, issuer=issuer, name=name, role=Role.SUPERVISOR, now=now, to=to)


def verify(
    order: Order,
    requested: str,
    approved: str,
    *,
    issuers: Mapping[AgencyId, Issuer],
    now: float,
) -> Given:
    """The order as given by both; raises `OrderRefused`.

    1. Each token is an issuer's who may vouch for its role, of now, and of this order. 2. The
    approval is of that request. 3. They are two persons.
    """
    asker = _official(requested, order, Role.OFFICER, issuers=issuers, now=now, to=None)  # 1
    approver = _official(  # 2
        approved, order, Role.SUPERVISOR, issuers=issuers, now=now, to=_hash(requested)
    )
    if _folded(asker) == _folded(approver):  # 3
        raise OrderRefused("one person has asked and approved", expected="two")
    return Given(order=order, asked_by=asker, approved_by=approver)


def is_same(asker: Asker, official: Official) -> bool:
    """Whether an asker is this official, in the same role."""
    if not isinstance(asker, Official) or asker.role is not official.role:
        return False
    return _folded(asker) == _folded(official)


def parse_order(body: bytes) -> tuple[Order, dict[str, str]]:
    """An order and its tokens in a JSON object; raises `OrderRefused`.

    The tokens are `request`, and `approval` once there is one.
    """
    try:
        document = json_object(body)
    except Problem:
        document = {}
    match document:
        case {"act": str(act), "about": str(about), "reason": str(reason), **tokens}:
            known = act in list(Act) and {"request"} <= tokens.keys() <= {"request", "approval"}
            if known and all(isinstance(token, str) for token in tokens.values()):
                order = Order(act=Act(act), about=about, reason=reason)
                return order, {str(name): str(token) for name, token in tokens.items()}
    raise OrderRefused("not an order", expected="act, about, reason, request and approval")


def _signed(
    order: Order,
    key: Ed25519PrivateKey,
    *,
    issuer: str,
    name: str,
    role: Role,
    now: float,
    to: str | None,
) -> str:
    claims = {
        "iss": issuer,
        "sub": name,
        "role": role.value,
        "aud": AUDIENCE,
        "iat": int(now),
        "exp": int(now) + LIFE_S,
        "jti": secrets.token_hex(16),
        "order": order.hash,
        "request": to,
    }
    return sign(claims, key)


def _official(
    token: str,
    order: Order,
    role: Role,
    *,
    issuers: Mapping[AgencyId, Issuer],
    now: float,
    to: str | None,
) -> Official:
    what = "the request" if to is None else "the approval"
    if not token:
        raise OrderRefused(f"{what} is missing", next_step=f"let a {role} sign the order")
    try:
        unverified = read_bearer(f"Bearer {token}")
    except MalformedToken:
        raise OrderRefused(
            f"{what} is damaged: its signature cannot verify",
            expected="the token as it was written",
        ) from None
    match unverified.claims:
        case {
            "iss": str(iss), "sub": str(sub), "role": str(named), "aud": str(aud),
            "iat": int(iat), "exp": int(exp), "jti": str(), "order": str(hash_), "request": told,
        } if unverified.claims.keys() == _CLAIMS:  # fmt: skip
            issuer = issuers.get(AgencyId(iss))
        case _:
            raise OrderRefused(f"{what} does not hold what it must", expected=sorted(_CLAIMS))
    if issuer is None:
        raise OrderRefused(f"{what} is of an issuer that is not known", expected=sorted(issuers))
    if not issuer.public_key.has_signed(unverified):
        raise OrderRefused(f"{what} is forged or damaged: its signature does not verify")
    if aud != AUDIENCE or named != role or role not in issuer.roles:
        raise OrderRefused(f"{what} is of another role", expected=role)
    if not iat - SKEW_S <= now < exp <= iat + LIFE_S:
        raise OrderRefused(f"{what} is not of now", expected="at most a day old")
    if (hash_, told) != (order.hash, to):
        raise OrderRefused(f"{what} is about another order")
    if not sub.strip():
        raise OrderRefused(f"{what} names nobody")
    return Official(agency=AgencyId(iss), name=sub, role=role)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _folded(official: Official) -> tuple[Any, ...]:
    name = unicodedata.normalize("NFKC", official.name).casefold()
    return official.agency, " ".join(name.split())
