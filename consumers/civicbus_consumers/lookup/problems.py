"""Problem documents (RFC 9457) with a stable code, in Vietnamese and English.

The texts are fixed: nothing of a request or of a person enters one. What a caller must know to
repair a request (a member's name, a list of fields of the contract) is given as `members`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from civicbus_schemas.errors import Refused

from civicbus_consumers.lookup.codes import CODE_TEXTS, Texts
from civicbus_consumers.lookup.reasons import REASON_TEXTS

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:civicbus:problem:"
LANGUAGES = ("vi", "en")

_TEXTS: Mapping[StrEnum, Texts] = {**CODE_TEXTS, **REASON_TEXTS}


class Problem(Refused):
    """An answer without data. `members` are more members of the document, never personal data."""

    def __init__(self, code: StrEnum, **members: Any) -> None:
        super().__init__(f"request refused: {code}")
        self.code = code
        self.members: Mapping[str, Any] = MappingProxyType(members)

    @property
    def texts(self) -> Texts:
        """Status and texts; a room with codes of its own looks into its own table first."""
        return _TEXTS[self.code]

    def told(self, language: str) -> tuple[str, str]:
        """Title and detail in one of `LANGUAGES`; the detail may be empty."""
        _, vietnamese, english = self.texts
        title, _, detail = (vietnamese if language == "vi" else english).partition(": ")
        return title, detail


def status_of(code: StrEnum) -> HTTPStatus:
    """The status of an answer with this code."""
    return _TEXTS[code][0]


def document(problem: Problem, language: str) -> bytes:
    """The problem document in one of `LANGUAGES`, as UTF-8 JSON."""
    title, detail = problem.told(language)
    body = {
        "type": f"{TYPE_PREFIX}{problem.code}",
        "title": title,
        "status": problem.texts[0].value,
        "code": problem.code.value,
        **({"detail": detail} if detail else {}),
        **problem.members,
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def preferred_language(accepted: str) -> str:
    """The better of our languages for an `Accept-Language`; Vietnamese where none is named."""
    weights = dict.fromkeys(LANGUAGES, -1.0)
    for part in accepted[:256].split(","):
        tag, _, parameter = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in weights:
            weights[language] = max(weights[language], _weight(parameter))
    best = max(LANGUAGES, key=lambda language: weights[language])
    return best if weights[best] > 0 else LANGUAGES[0]


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    digits = value.replace(".", "", 1)
    return float(value) if name.strip() == "q" and digits.isdecimal() and len(value) < 6 else 0.0
