"""Calling the registry as an agency: one token per call, and a refusal is a value.

Needs the extra `bus`, for the signature; an agency may as well use any JWT and HTTP library.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx2
from civicbus_producers.settings import Connection, InvalidSettings
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.ids import AgencyId
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from civicbus_consumers.lookup.token import make_token
from civicbus_consumers.recording.signing import read_signing_key

TIMEOUT_S = 20.0
ROOT = "/v1/consents"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAnswer:
    """What came back; `code` says why nothing was done, None where it was."""

    status: int
    code: str | None
    document: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"RegistryAnswer({self.status}, {self.code or 'done'})"


class ConsentClient:
    """Calls the registry for one agency over one kept-alive connection."""

    def __init__(
        self, agency: AgencyId, *, url: str, key: Ed25519PrivateKey, language: str = "vi"
    ) -> None:
        self._agency, self._key = agency, key
        self._client = httpx2.Client(
            base_url=url, timeout=TIMEOUT_S, headers={"Accept-Language": language}
        )

    @classmethod
    def connect(
        cls, agency: str, *, settings: Connection | None = None, language: str = "vi"
    ) -> Self:
        """The client of this agency; its file is found as `Connection.load` says."""
        settings = settings or Connection.load(agency)
        if settings.lookup_url is None or settings.token_key_file is None:
            raise InvalidSettings(
                "this agency has no token for the web process", expected="lookup_url and a key"
            )
        key, _ = read_signing_key(settings.token_key_file)
        return cls(settings.agency, url=settings.lookup_url, key=key, language=language)

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

    def call(self, what: str, body: Mapping[str, Any]) -> RegistryAnswer:
        """An act, `list`, `verify` or `receipt`; raises `Unavailable` where nobody answers."""
        return self._send("POST", f"{ROOT}/{what}", body)

    def data_agreements(self, id_: str | None = None) -> RegistryAnswer:
        """What can be consented to; of one data agreement all revisions."""
        return self._send("GET", f"{ROOT}/data-agreements" + (f"/{id_}" if id_ else ""), None)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> RegistryAnswer:
        token = make_token(self._agency, self._key, now=time.time())
        try:
            response = self._client.request(
                method, path, json=body, headers={"Authorization": f"Bearer {token}"}
            )
            document: Mapping[str, Any] = response.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise Unavailable(
                "the consent registry does not answer",
                got=type(error).__name__,
                next_step="call again with the same consent_id: what was done is not done twice",
            ) from None
        return RegistryAnswer(
            status=response.status_code, code=document.get("code"), document=document
        )
