"""Asking the officers' process: one question, and a refusal is a value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2
from civicbus_schemas.errors import Refused, Unavailable

RECORD_HEADER = "Civicbus-Record-Id"
EXPORT_S = 900.0
"""How long a bundle may take to begin to come: it is made whole first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficersClient:
    """Puts questions with one token."""

    url: str
    token: str = field(repr=False)
    language: str = "en"
    timeout_s: float = 20.0

    def ask(self, question: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        """Status and document of the answer; raises `Unavailable` where nobody answers."""
        return self._post("queries", question)

    def unread(self, asked: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        """As `ask`: which deliveries about the token's citizen lie unread."""
        return self._post("unread", asked)

    def case(self, act: str, demand: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        """As `ask`: something is done to a case."""
        return self._post(f"cases/{act}", demand)

    def saved(self, act: str, demand: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        """As `ask`: something is done with saved queries."""
        return self._post(f"saved/{act}", demand)

    def export(
        self, asked: Mapping[str, Any], target: Path, *, ordered: bool = False
    ) -> tuple[int, Mapping[str, Any]]:
        """As `ask`: a bundle, written to a new file; the answer names its record.

        `ordered`: what is asked is an order of two officials; the token is the first one's.

        Raises `Refused` where the file is there, and `Unavailable` where the bundle did not come
        whole; then there is no file.
        """
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        if target.exists():
            raise Refused(f"{target} is there already", next_step="name another file")
        try:
            with partial.open("wb") as file, self._exporting(asked, ordered=ordered) as response:
                if response.status_code != HTTPStatus.OK:
                    response.read()
                    return response.status_code, response.json()
                for chunk in response.iter_bytes():
                    file.write(chunk)
            partial.rename(target)
        except (httpx2.HTTPError, ValueError, OSError) as error:
            raise self._unanswered(error) from None
        finally:
            partial.unlink(missing_ok=True)
        return response.status_code, {"record_id": response.headers[RECORD_HEADER]}

    def _exporting(
        self, asked: Mapping[str, Any], *, ordered: bool
    ) -> AbstractContextManager[httpx2.Response]:
        return httpx2.stream(
            "POST",
            f"{self.url}/v1/audit/exports{'/ordered' if ordered else ''}",
            json=asked,
            headers=self._headers,
            timeout=httpx2.Timeout(self.timeout_s, read=EXPORT_S),
        )

    @property
    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Accept-Language": self.language}

    def _unanswered(self, error: Exception) -> Unavailable:
        return Unavailable(
            "the officers' process does not answer",
            got=type(error).__name__,
            next_step="civicbus status; the question may be on record all the same",
        )

    def _post(self, what: str, document: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        try:
            response = httpx2.post(
                f"{self.url}/v1/audit/{what}",
                json=document,
                headers=self._headers,
                timeout=self.timeout_s,
            )
            answer: Mapping[str, Any] = response.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise self._unanswered(error) from None
        return response.status_code, answer
