"""Asking the officers' process: one question, and a refusal is a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from civicbus_schemas.errors import Unavailable


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

    def _post(self, what: str, document: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        headers = {"Authorization": f"Bearer {self.token}", "Accept-Language": self.language}
        try:
            response = httpx2.post(
                f"{self.url}/v1/audit/{what}",
                json=document,
                headers=headers,
                timeout=self.timeout_s,
            )
            answer: Mapping[str, Any] = response.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise Unavailable(
                "the officers' process does not answer",
                got=type(error).__name__,
                next_step="civicbus status; the question may be on record all the same",
            ) from None
        return response.status_code, answer
