"""Making look-ups as an agency: one token per request, and a refusal is a value.

Needs the extra `bus`, for the signature; an agency may as well use any JWT and HTTP library.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import TracebackType
from typing import Any, Self

import httpx2
from civicbus_producers.settings import Connection, InvalidSettings
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.ids import AgencyId, Pin
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from civicbus_consumers.lookup.token import make_token
from civicbus_consumers.recording.signing import read_signing_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Whom:
    """The person asked about, by all three (Decree 70/2024 Art 10)."""

    full_name: str
    date_of_birth: date
    pin: Pin

    def __repr__(self) -> str:
        return "Whom(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The officer who asks, the purpose, and the agency's own number of the case.

    `break_glass` is why a life depends on it, where one does; it is reviewed within a day.
    """

    officer: str
    purpose: str
    case: str
    break_glass: str | None = None

    def __repr__(self) -> str:
        return f"Why({self.purpose})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupAnswer:
    """What came back. `fields` is None where nothing was answered; then `code` says why.

    `receipt` is there whenever the look-up was recorded, also for a refusal.
    """

    status: int
    code: str | None
    fields: Mapping[str, Any] | None
    receipt: Mapping[str, Any] | None
    document: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"LookupAnswer({self.status}, {self.code or 'answered'})"


class LookupClient:
    """Makes look-ups for one agency over one kept-alive connection."""

    def __init__(
        self, agency: AgencyId, *, url: str, key: Ed25519PrivateKey, timeout_s: float = 10.0
    ) -> None:
        self._agency, self._key = agency, key
        self._client = httpx2.Client(base_url=url, timeout=timeout_s)

    @classmethod
    def connect(cls, agency: str, *, settings: Connection | None = None) -> Self:
        """The client of this agency; its file is found as `Connection.load` says."""
        settings = settings or Connection.load(agency)
        if settings.lookup_url is None or settings.token_key_file is None:
            raise InvalidSettings("this agency makes no look-ups", expected="lookup_url and a key")
        key, _ = read_signing_key(settings.token_key_file)
        return cls(settings.agency, url=settings.lookup_url, key=key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connection."""
        self._client.close()

    def read(self, whom: Whom, fields: Sequence[str], *, why: Why) -> LookupAnswer:
        """The values of these fields; raises `Unavailable` where nobody answers."""
        return self._post(whom, why, {"mode": "read", "fields": list(fields)})

    def verify(self, whom: Whom, claims: Mapping[str, Any], *, why: Why) -> LookupAnswer:
        """Whether each claim is true; days are written `YYYY-MM-DD`, None claims "no value"."""
        return self._post(whom, why, {"mode": "verify", "claims": dict(claims)})

    def _post(self, whom: Whom, why: Why, wanted: Mapping[str, Any]) -> LookupAnswer:
        body = {
            "officer": why.officer,
            "purpose": why.purpose,
            "case": why.case,
            "full_name": whom.full_name,
            "date_of_birth": whom.date_of_birth.isoformat(),
            "pin": whom.pin.number,
            **wanted,
        }
        if why.break_glass is not None:
            body["break_glass"] = why.break_glass
        token = make_token(self._agency, self._key, now=time.time())
        try:
            response = self._client.post(
                "/v1/lookups", json=body, headers={"Authorization": f"Bearer {token}"}
            )
            document: Mapping[str, Any] = response.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise Unavailable(
                "look-ups do not answer",
                got=type(error).__name__,
                next_step="try again; without an answer there is no receipt",
            ) from None
        result = document.get("result")
        return LookupAnswer(
            status=response.status_code,
            code=document.get("code"),
            fields=None if result is None else result["fields"],
            receipt=document.get("receipt"),
            document=document,
        )
