"""Agency tokens: what is not exactly one of ours is refused, each with its own code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.problems import Problem
from civicbus_consumers.lookup.token import (
    AUDIENCE,
    MAX_LIFE_S,
    SKEW_S,
    Keyring,
    Token,
    UsedTokens,
    make_token,
)
from civicbus_schemas.ids import AgencyId
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NOW = 1_795_300_000.5
BANK = AgencyId("bank")
KEY, OTHER_KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()
KEYRING = Keyring({BANK: PUBLIC})


def _part(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def _signed(key: Ed25519PrivateKey = KEY, header: Any = None, **changes: Any) -> str:
    """A token with changed claims; a change to None leaves a claim out."""
    claims = {
        "iss": "bank",
        "aud": AUDIENCE,
        "iat": int(NOW),
        "exp": int(NOW) + 60,
        "jti": "ab" * 16,
    }
    kept = {name: value for name, value in (claims | changes).items() if value is not None}
    message = f"{_part(header or {'alg': 'EdDSA', 'typ': 'JWT'})}.{_part(kept)}"
    signature = base64.urlsafe_b64encode(key.sign(message.encode())).rstrip(b"=").decode()
    return f"Bearer {message}.{signature}"


def _code(authorization: str | None) -> Code:
    with pytest.raises(Problem) as caught:
        KEYRING.verify(authorization, now=NOW)
    assert isinstance(caught.value.code, Code)
    return caught.value.code


def test_token_is_accepted_when_the_agency_made_it() -> None:
    token = KEYRING.verify(f"Bearer {make_token(BANK, KEY, now=NOW)}", now=NOW)
    assert (token.agency, token.expires_at - token.issued_at) == (BANK, 60)
    assert KEYRING.verify(_signed(), now=NOW).jti == "ab" * 16


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, Code.TOKEN_MISSING),
        ("", Code.TOKEN_MALFORMED),
        ("Basic YmFuazpiYW5r", Code.TOKEN_MALFORMED),
        ("Bearer a.b", Code.TOKEN_MALFORMED),
        (_signed() + "\r\nX-Injected: 1", Code.TOKEN_MALFORMED),
        (_signed().replace("Bearer ", "bearer  "), Code.TOKEN_MALFORMED),
        (_signed() + "=" * 5000, Code.TOKEN_MALFORMED),
        ("Bearer !!!.???.###", Code.TOKEN_MALFORMED),
        (_signed(key=OTHER_KEY), Code.TOKEN_FORGED),
        (_signed(iss="vss"), Code.UNKNOWN_AGENCY),
        (_signed(iss="Bank'; drop table lease"), Code.UNKNOWN_AGENCY),
        (_signed(aud="another-service"), Code.TOKEN_WRONG_AUDIENCE),
        (_signed(aud=[AUDIENCE]), Code.TOKEN_MALFORMED),
        (_signed(iat=int(NOW) - 120, exp=int(NOW) - 60), Code.TOKEN_EXPIRED),
        (_signed(exp=int(NOW)), Code.TOKEN_MALFORMED),
        (_signed(exp=int(NOW) + MAX_LIFE_S + 1), Code.TOKEN_TOO_LONG_LIVED),
        (_signed(iat=int(NOW) + SKEW_S + 1), Code.TOKEN_NOT_YET_VALID),
        (_signed(iat=float(NOW)), Code.TOKEN_MALFORMED),
        (_signed(iat=True), Code.TOKEN_MALFORMED),
        (_signed(exp="9999999999"), Code.TOKEN_MALFORMED),
        (_signed(jti=None), Code.TOKEN_MALFORMED),
        (_signed(jti="001390012345"), Code.TOKEN_MALFORMED),
        (_signed(iss=None), Code.TOKEN_MALFORMED),
        (_signed(sub="someone"), Code.TOKEN_MALFORMED),
        (_signed(header={"alg": "EdDSA"}), Code.TOKEN_MALFORMED),
        (_signed(header={"alg": "EdDSA", "typ": "JWT", "kid": "1"}), Code.TOKEN_MALFORMED),
        (_signed(header={"alg": "Ed25519", "typ": "JWT"}), Code.TOKEN_MALFORMED),
    ],
)
def test_token_is_refused_with_its_code_when_it_is_not_one_of_ours(
    authorization: str | None, code: Code
) -> None:
    assert _code(authorization) is code


def test_token_is_refused_when_its_algorithm_is_none() -> None:
    _, claims, _ = _signed().removeprefix("Bearer ").split(".")
    header = _part({"alg": "none", "typ": "JWT"})
    assert _code(f"Bearer {header}.{claims}.") is Code.TOKEN_MALFORMED
    assert _code(f"Bearer {header}.{claims}.AA") is Code.TOKEN_MALFORMED


def test_token_is_refused_when_it_is_signed_with_the_public_key_as_a_secret() -> None:
    header = _part({"alg": "HS256", "typ": "JWT"})
    _, claims, _ = _signed().removeprefix("Bearer ").split(".")
    message = f"{header}.{claims}"
    mac = hmac.digest(PUBLIC, message.encode(), hashlib.sha256)
    forged = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    assert _code(f"Bearer {message}.{forged}") is Code.TOKEN_MALFORMED


def test_token_is_refused_when_a_claim_was_changed_after_signing() -> None:
    header, _, signature = _signed().removeprefix("Bearer ").split(".")
    _, claims, _ = _signed(jti="cd" * 16).removeprefix("Bearer ").split(".")
    assert _code(f"Bearer {header}.{claims}.{signature}") is Code.TOKEN_FORGED


def _used_token(second: int, jti: str = "ab" * 16) -> Token:
    at = int(NOW) + second
    return Token(agency=BANK, jti=jti, issued_at=at, expires_at=at + 60)


def test_token_is_refused_when_it_was_used_before() -> None:
    used = UsedTokens(started_at=NOW - 100)
    used.take(_used_token(0), now=NOW)
    used.take(_used_token(0, "cd" * 16), now=NOW)
    with pytest.raises(Problem) as caught:
        used.take(_used_token(0), now=NOW + 59)
    assert caught.value.code is Code.TOKEN_REPLAYED


def test_token_is_refused_when_a_predecessor_may_have_taken_it() -> None:
    used = UsedTokens(started_at=NOW)
    with pytest.raises(Problem) as caught:
        used.take(_used_token(SKEW_S), now=NOW)
    assert caught.value.code is Code.TOKEN_TOO_EARLY
    used.take(_used_token(SKEW_S + 1), now=NOW + SKEW_S + 1)


def test_used_tokens_are_forgotten_when_they_have_long_expired() -> None:
    used = UsedTokens(started_at=NOW - 100, capacity=1)
    used.take(_used_token(0), now=NOW)
    with pytest.raises(Problem) as caught:
        used.take(_used_token(0, "cd" * 16), now=NOW)
    assert caught.value.code is Code.BUSY
    later = MAX_LIFE_S + SKEW_S + 1
    used.take(_used_token(later, "ef" * 16), now=NOW + later)
