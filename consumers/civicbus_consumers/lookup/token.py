"""Agency tokens: which agency asks, proved by its signature over claims that live five minutes.

A token is a JWT (`runtime.jwt`), good for one look-up. The service holds public keys only. What is
not exactly of this form is refused: no other claim is read.
"""

from __future__ import annotations

import math
import re
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.ids import AgencyId, agency_id
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.problems import Problem
from civicbus_consumers.runtime.jwt import MalformedToken, PublicKey, read_bearer, sign

AUDIENCE = "civicbus-lookup"
MAX_LIFE_S = 300
SKEW_S = 2
"""How far an agency's clock may be ahead of ours."""

_CLAIMS = {"iss", "aud", "iat", "exp", "jti"}
_JTI = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a verified token says. Times are seconds since 1970; `jti` is 32 hex characters."""

    agency: AgencyId
    jti: str
    issued_at: int
    expires_at: int


def make_token(agency: AgencyId, key: Ed25519PrivateKey, *, now: float, life_s: int = 60) -> str:
    """A fresh token of this agency, for one look-up."""
    claims = {
        "iss": agency,
        "aud": AUDIENCE,
        "iat": int(now),
        "exp": int(now) + life_s,
        "jti": secrets.token_hex(16),
    }
    return sign(claims, key)


class Keyring:
    """The agencies' public keys."""

    def __init__(self, keys: Mapping[AgencyId, bytes]) -> None:
        """`keys` holds 32 raw bytes for each agency."""
        self._keys = {agency: PublicKey(raw) for agency, raw in keys.items()}

    def verify(self, authorization: str | None, *, now: float) -> Token:
        """The token of an `Authorization` header; raises `Problem`.

        1. form and header, 2. agency, 3. signature, 4. audience, 5. times.
        """
        if authorization is None:
            raise Problem(Code.TOKEN_MISSING)
        try:
            unverified = read_bearer(authorization)  # 1
        except MalformedToken:
            raise Problem(Code.TOKEN_MALFORMED) from None
        token = _token(unverified.claims)
        key = self._keys.get(token.agency)  # 2
        if key is None:
            raise Problem(Code.UNKNOWN_AGENCY)
        if not key.has_signed(unverified):  # 3
            raise Problem(Code.TOKEN_FORGED)
        if unverified.claims["aud"] != AUDIENCE:  # 4
            raise Problem(Code.TOKEN_WRONG_AUDIENCE)
        check_times(token.issued_at, token.expires_at, now=now)  # 5
        return token


def _token(claims: Any) -> Token:
    match claims:
        case {"iss": str(iss), "aud": str(), "iat": int(iat), "exp": int(exp), "jti": str(jti)}:
            exact = claims.keys() == _CLAIMS and type(iat) is type(exp) is int
            if exact and _JTI.fullmatch(jti) and 0 <= iat < exp < 1 << 40:
                try:
                    return Token(agency=agency_id(iss), jti=jti, issued_at=iat, expires_at=exp)
                except InvalidIdentifier:
                    raise Problem(Code.UNKNOWN_AGENCY) from None
    raise Problem(Code.TOKEN_MALFORMED)


def check_times(issued_at: int, expires_at: int, *, now: float) -> None:
    """Whether a token is of now, and short-lived; raises `Problem`."""
    if expires_at - issued_at > MAX_LIFE_S:
        raise Problem(Code.TOKEN_TOO_LONG_LIVED)
    if issued_at > now + SKEW_S:
        raise Problem(Code.TOKEN_NOT_YET_VALID)
    if expires_at <= now:
        raise Problem(Code.TOKEN_EXPIRED)


class UsedTokens:
    """The tokens used while this process lives; each is taken once.

    A token that a predecessor may have taken is refused by its date: whatever was issued up to
    `SKEW_S` after our start. So a service is ready no sooner than that. Held in memory, for one
    serving process; several would share a table.
    """

    def __init__(self, *, started_at: float, capacity: int = 1_000_000) -> None:
        self.ready_at = math.ceil(started_at) + SKEW_S
        self._capacity = capacity
        self._used: set[tuple[AgencyId, str]] = set()
        self._order: deque[tuple[float, tuple[AgencyId, str]]] = deque()

    def take(self, token: Token, *, now: float) -> None:
        """Use up the token; raises `Problem` if it was used, or may have been."""
        while self._order and self._order[0][0] <= now:
            self._used.discard(self._order.popleft()[1])
        if token.issued_at < self.ready_at:
            raise Problem(Code.TOKEN_TOO_EARLY)
        if len(self._used) >= self._capacity:
            raise Problem(Code.BUSY)
        key = token.agency, token.jti
        if key in self._used:
            raise Problem(Code.TOKEN_REPLAYED)
        self._used.add(key)
        self._order.append((now + SKEW_S + MAX_LIFE_S, key))
