"""JSON Web Tokens (RFC 7519) of one form: signed with EdDSA over Ed25519 (RFC 8037).

No other algorithm is ever looked up, no other header is read. What claims mean is for the rooms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from civicbus_schemas.errors import Refused
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jws, jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import EdDSAAlgorithm, JWSAlgModel
from joserfc.jwk import OKPKey

_HEADER = {"alg": "EdDSA", "typ": "JWT"}
_BEARER = re.compile(r"Bearer ([A-Za-z0-9_-]{1,256}\.[A-Za-z0-9_-]{1,1024}\.[A-Za-z0-9_-]{1,128})")


class MalformedToken(Refused):
    """A token is not of our form; nothing of it is told."""


class _EdDSAOnly(jws.JWSRegistry):
    """Knows one algorithm, so that no token can choose another."""

    _algorithm = EdDSAAlgorithm()

    def get_alg(self, name: str) -> JWSAlgModel:
        if name != self._algorithm.name:
            raise UnsupportedAlgorithmError
        return self._algorithm


_REGISTRY = _EdDSAOnly()


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token claims, before anybody has looked at its signature."""

    claims: Any
    signed: jws.CompactSignature


class PublicKey:
    """An issuer's Ed25519 public key."""

    def __init__(self, raw: bytes) -> None:
        """`raw` is 32 bytes."""
        self._key = OKPKey.import_key(Ed25519PublicKey.from_public_bytes(raw))

    def has_signed(self, token: Unverified) -> bool:
        """Whether the token's signature is of this key."""
        return jws.validate_compact(token.signed, self._key, registry=_REGISTRY)


def sign(claims: Mapping[str, Any], key: Ed25519PrivateKey) -> str:
    """The token of these claims."""
    return jwt.encode(dict(_HEADER), dict(claims), OKPKey.import_key(key), registry=_REGISTRY)


def read_bearer(authorization: str) -> Unverified:
    """The token of an `Authorization` header; raises `MalformedToken`."""
    form = _BEARER.fullmatch(authorization)
    if form is None:
        raise MalformedToken("not a bearer token")
    try:
        signed = jws.extract_compact(form[1].encode(), registry=_REGISTRY)
        claims = json.loads(signed.payload)
    except (JoseError, ValueError, TypeError, RecursionError):
        raise MalformedToken("a token cannot be read") from None
    if signed.headers() != _HEADER:
        raise MalformedToken("a token has another header")
    return Unverified(claims, signed)
