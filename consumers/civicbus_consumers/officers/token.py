"""Officers' and citizens' tokens: who asks in which role, vouched for by an issuer.

A token is a JWT (`runtime.jwt`) of at most five minutes. It may be used more than once while it
lives: every use is recorded, and pages and proofs of one answer need several requests.
"""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civicbus_producers.settings import InvalidSettings
from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.ids import AgencyId, Pin, agency_id
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.token import check_times
from civicbus_consumers.officers.problems import OfficersCode, OfficersProblem
from civicbus_consumers.officers.rules import Asker, Citizen, Official, Role
from civicbus_consumers.runtime.jwt import MalformedToken, PublicKey, read_bearer, sign

AUDIENCE = "civicbus-officers"
MAX_NAME = 64

_CLAIMS = {"iss", "sub", "role", "aud", "iat", "exp", "jti"}
_JTI = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What a verified token says; `jti` is 32 hex characters."""

    asker: Asker
    jti: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """A body that issues tokens, and the roles that it may vouch for."""

    public_key: PublicKey
    roles: frozenset[Role]


def make_pass(
    issuer: AgencyId,
    key: Ed25519PrivateKey,
    *,
    sub: str,
    role: Role,
    now: float,
    life_s: int = 300,
) -> str:
    """A fresh token; `sub` is an official's name, or a citizen's number."""
    claims = {
        "iss": issuer,
        "sub": sub,
        "role": role.value,
        "aud": AUDIENCE,
        "iat": int(now),
        "exp": int(now) + life_s,
        "jti": secrets.token_hex(16),
    }
    return sign(claims, key)


def read_issuers(path: Path) -> Mapping[AgencyId, Issuer]:
    """The issuers in a JSON file `{id: {"public_key": hex, "roles": […]}}`."""
    try:
        document = json.loads(path.read_bytes())
        return {
            agency_id(name): Issuer(
                public_key=PublicKey(bytes.fromhex(body["public_key"])),
                roles=frozenset(map(Role, body["roles"])),
            )
            for name, body in document.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, InvalidIdentifier) as error:
        raise InvalidSettings(
            "the issuers' keys cannot be read", got=f"{path}: {type(error).__name__}"
        ) from None


def verify(authorization: str | None, issuers: Mapping[AgencyId, Issuer], *, now: float) -> Pass:
    """The pass of an `Authorization` header; raises `OfficersProblem`.

    1. form and header, 2. issuer, 3. signature, 4. audience, 5. times, 6. role.
    """
    if authorization is None:
        raise OfficersProblem(OfficersCode.TOKEN_MISSING)
    try:
        unverified = read_bearer(authorization)  # 1
    except MalformedToken:
        raise OfficersProblem(OfficersCode.TOKEN_MALFORMED) from None
    claims = unverified.claims
    found = _pass(claims)
    issuer = issuers.get(found.asker.agency)  # 2
    if issuer is None:
        raise OfficersProblem(OfficersCode.UNKNOWN_ISSUER)
    if not issuer.public_key.has_signed(unverified):  # 3
        raise OfficersProblem(Code.TOKEN_FORGED)
    if claims["aud"] != AUDIENCE:  # 4
        raise OfficersProblem(Code.TOKEN_WRONG_AUDIENCE)
    check_times(claims["iat"], claims["exp"], now=now)  # 5
    if found.asker.role not in issuer.roles:  # 6
        raise OfficersProblem(OfficersCode.ROLE_NOT_VOUCHED)
    return found


def _pass(claims: Any) -> Pass:
    match claims:
        case {
            "iss": str(iss), "sub": str(sub), "role": str(role), "aud": str(),
            "iat": int(iat), "exp": int(exp), "jti": str(jti),
        } if claims.keys() == _CLAIMS:  # fmt: skip
            exact = type(iat) is type(exp) is int and 0 <= iat < exp < 1 << 40
            if exact and _JTI.fullmatch(jti) and role in list(Role):
                return Pass(asker=_asker(iss, sub, Role(role)), jti=jti)
    raise OfficersProblem(OfficersCode.TOKEN_MALFORMED)


def _asker(iss: str, sub: str, role: Role) -> Asker:
    try:
        agency = agency_id(iss)
        if role is Role.CITIZEN:
            return Citizen(agency=agency, pin=Pin(sub))
    except InvalidIdentifier:
        raise OfficersProblem(OfficersCode.TOKEN_MALFORMED) from None
    name = unicodedata.normalize("NFC", sub).strip()
    if not 0 < len(name) <= MAX_NAME or any(unicodedata.category(c)[0] == "C" for c in name):
        raise OfficersProblem(OfficersCode.TOKEN_MALFORMED)
    return Official(agency=agency, name=name, role=role)
