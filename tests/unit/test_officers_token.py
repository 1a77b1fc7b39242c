"""Who stands at the officers' counter."""

from __future__ import annotations

import time
from typing import Any

import pytest
from civicbus_consumers.lookup.problems import Problem
from civicbus_consumers.lookup.token import make_token
from civicbus_consumers.officers.rules import Citizen, Official, Role
from civicbus_consumers.officers.token import AUDIENCE, make_pass, verify
from civicbus_consumers.runtime.jwt import sign
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.unit.lookup_samples import LAN, SIGNER
from tests.unit.officers_office import BANK, INSPECTOR, ISSUERS, MPS, VNEID

NOW = time.time()


def claims(**changes: Any) -> dict[str, Any]:
    """An officer's claims, with changes; None leaves one out."""
    good = {"iss": "mps", "sub": INSPECTOR, "role": "officer", "aud": AUDIENCE,
            "iat": int(NOW), "exp": int(NOW) + 60, "jti": "a" * 32}  # fmt: skip
    return {name: value for name, value in (good | changes).items() if value is not None}


def code(token: str | None) -> str:
    """Why a token is refused."""
    with pytest.raises(Problem) as refused:
        verify(token and f"Bearer {token}", ISSUERS, now=NOW)
    return refused.value.code.value


def test_official_and_citizen_are_known_when_their_issuer_vouches() -> None:
    officer = make_pass(MPS, SIGNER, sub=INSPECTOR, role=Role.OFFICER, now=NOW)
    citizen = make_pass(VNEID, SIGNER, sub=LAN.number, role=Role.CITIZEN, now=NOW)
    asker = verify(f"Bearer {officer}", ISSUERS, now=NOW).asker
    assert asker == Official(agency=MPS, name=INSPECTOR, role=Role.OFFICER)
    found = verify(f"Bearer {citizen}", ISSUERS, now=NOW).asker
    assert found == Citizen(agency=VNEID, pin=LAN)
    assert LAN.number not in repr(found)
    assert INSPECTOR not in repr(asker)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": "nobody"}, "unknown-issuer"),
        ({"iss": "bank"}, "role-not-vouched-for"),
        ({"role": "citizen", "sub": LAN.number}, "role-not-vouched-for"),
        ({"role": "admin"}, "token-malformed"),
        ({"role": "citizen", "sub": "12"}, "token-malformed"),
        ({"sub": ""}, "token-malformed"),
        ({"sub": "a\u0007b"}, "token-malformed"),
        ({"sub": "x" * 65}, "token-malformed"),
        ({"sub": None}, "token-malformed"),
        ({"admin": True}, "token-malformed"),
        ({"jti": "A" * 32}, "token-malformed"),
        ({"exp": True}, "token-malformed"),
        ({"aud": "civicbus-lookup"}, "token-wrong-audience"),
        ({"exp": int(NOW) + 301}, "token-too-long-lived"),
        ({"iat": int(NOW) + 60, "exp": int(NOW) + 120}, "token-not-yet-valid"),
        ({"iat": int(NOW) - 60, "exp": int(NOW) - 1}, "token-expired"),
    ],
)
def test_token_is_refused_when_one_claim_is_wrong(changes: dict[str, Any], why: str) -> None:
    assert code(sign(claims(**changes), SIGNER)) == why


def test_token_is_refused_when_it_is_none_of_ours() -> None:
    assert code(None) == "token-missing"
    assert code("x") == "token-malformed"
    assert code(sign(claims(), Ed25519PrivateKey.generate())) == "token-forged"
    assert code(make_token(BANK, SIGNER, now=NOW)) == "token-malformed"  # one for look-ups
