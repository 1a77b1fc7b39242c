"""Problem documents: every code has its texts, and the caller's language is found."""

from __future__ import annotations

import json

import pytest
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.problems import Problem, document, preferred_language, status_of
from civicbus_consumers.lookup.replies import outward
from civicbus_consumers.lookup.rules import REFUSALS, Refusal


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("code", [*Code, *(outward(Refusal(reason=r)) for r in REFUSALS)])
def test_document_has_code_title_and_status_when_a_code_is_told(code: Code, language: str) -> None:
    told = json.loads(document(Problem(code, member="pin"), language))
    assert told["type"] == f"urn:civicbus:problem:{code}"
    assert (told["code"], told["status"], told["member"]) == (code, status_of(code), "pin")
    assert told["title"]
    assert ":" not in told["title"]


def test_languages_differ_when_a_code_is_told_in_both() -> None:
    for code in Code:
        vietnamese, english = (json.loads(document(Problem(code), x)) for x in ("vi", "en"))
        assert vietnamese["title"] != english["title"]
        assert ("detail" in vietnamese) == ("detail" in english)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "vi"),
        ("en", "en"),
        ("EN-gb", "en"),
        ("fr", "vi"),
        ("en;q=0.8, vi;q=0.9", "vi"),
        ("vi;q=0.1, en", "en"),
        ("vi;q=0, en;q=0.1", "en"),
        ("en;q=zzz", "vi"),
        ("en;q=1.2.3", "vi"),
        (";;;,,,q=", "vi"),
        ("en" * 10_000, "vi"),
    ],
)
def test_language_is_the_preferred_of_ours_when_some_are_accepted(
    accepted: str, language: str
) -> None:
    assert preferred_language(accepted) == language
