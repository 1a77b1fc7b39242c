"""What an officer is told: the decision, its ground, and every obstacle one after the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import pytest
from civicbus_consumers.explain.rules import Action, Law, Question, compile_law, explain
from civicbus_consumers.explain.words import NEEDED, WHY, needs, sentence
from civicbus_consumers.lookup.rules import REFUSALS
from civicbus_schemas.ids import AgencyId, EventType
from civicbus_schemas.vocabulary import Reason

from tests.unit import lookup_samples as samples

VIEW, BIRTH = EventType("population.Person"), EventType("civil-status.BirthRegistered")
DAY = date(2026, 11, 22)
ABOUT_SOMEBODY = {
    Reason.LIMIT_EXCEEDED, Reason.DAILY_LIMIT_EXCEEDED,
    Reason.SUBJECT_NOT_FOUND, Reason.IDENTITY_MISMATCH, Reason.CONSENT_TOO_NARROW,
    Reason.CONSENT_WITHDRAWN, Reason.CONSENT_EXPIRED, Reason.CONSENT_PAUSED,
    Reason.CONSENT_USED_UP,
}  # fmt: skip


@cache
def law() -> Law:
    return compile_law(samples.policy())


def bank(**changes: Any) -> Question:
    """The bank verifies a borrower's marital status."""
    asked = Question(
        recipient=samples.BANK,
        action=Action.VERIFY,
        dataset=VIEW,
        fields=("marital_status",),
        purpose=samples.CREDIT,
        day=DAY,
        consent=True,
        age=36,
    )
    return replace(asked, **changes)


def card(**changes: Any) -> Question:
    """Social security gets births for the health-insurance card."""
    asked = Question(
        recipient=samples.VSS,
        action=Action.RELEASE,
        dataset=BIRTH,
        fields=(),
        purpose="health-insurance.enrol-child",
        day=DAY,
        age=0,
    )
    return replace(asked, **changes)


@pytest.mark.parametrize(
    ("question", "reasons"),
    [
        (bank(), []),
        (bank(consent=False), [Reason.NO_CONSENT]),
        (bank(age=17), [Reason.FORBIDDEN_BY_RULE]),
        (bank(age=None), [Reason.FORBIDDEN_BY_RULE]),
        (bank(consent=False, age=17), [Reason.NO_CONSENT, Reason.FORBIDDEN_BY_RULE]),
        (bank(action=Action.READ), [Reason.FIELD_NOT_IN_AGREEMENT]),
        (bank(purpose="statistics.births"), [Reason.PURPOSE_MISMATCH]),
        (bank(recipient=AgencyId("moh")), [Reason.NO_AGREEMENT]),
        (bank(recipient=AgencyId("nobody")), [Reason.NO_AGREEMENT]),
        (bank(dataset=BIRTH), [Reason.NO_AGREEMENT]),
        (bank(day=date(2025, 12, 31)), [Reason.NOT_YET_IN_FORCE]),
        (bank(day=date(2035, 1, 1)), [Reason.EXPIRED]),
        (
            bank(fields=("religion", "marital_status"), consent=False),
            [Reason.FIELD_NOT_IN_AGREEMENT, Reason.NO_CONSENT],
        ),
        (card(), []),
        (card(fields=("child.full_name",)), []),
        (card(fields=("child.full_name", "child.ethnicity")), [Reason.FIELD_NOT_IN_AGREEMENT]),
        (card(age=6), [Reason.CONDITION_NOT_MET]),
        (card(age=None), [Reason.CONDITION_NOT_MET]),
        (card(purpose="statistics.births"), [Reason.PURPOSE_MISMATCH]),
        (card(recipient=samples.BANK), [Reason.NO_AGREEMENT]),
        (card(dataset=EventType("no.Such")), [Reason.NO_AGREEMENT]),
        (card(day=date(2035, 1, 1), fields=("child.ethnicity",)), [Reason.EXPIRED]),
    ],
)
def test_every_obstacle_is_told_in_order_when_something_is_asked(
    question: Question, reasons: list[Reason]
) -> None:
    explanation = explain(question, law())
    assert [step.verdict.reason for step in explanation.obstacles] == reasons
    assert explanation.permitted is (not reasons)
    said = [sentence(explanation, law()), *needs(explanation, law())]
    assert len(said) == 1 + len(reasons)
    assert all(text and "{" not in text for title in said for text in (title.vi, title.en))


def test_officer_reads_ground_and_need_when_consent_is_missing() -> None:
    explanation = explain(bank(fields=("religion", "sex"), consent=False), law())
    assert sentence(explanation, law()).en == (
        "Song Xanh Bank (fictional) may not verify religion, sex of population.Person for"
        " “Verifying a borrower” on 2026-11-22: agreement bank.borrower-check@1 does not name"
        " religion."
    )
    assert [need.en for need in needs(explanation, law())] == [
        "leaving out religion, or amending the agreement",
        "a consent for Song Xanh Bank (fictional) and this purpose that covers"
        " population.Person:sex",
    ]


def test_officer_reads_rule_and_its_ground_when_a_minor_is_asked_about() -> None:
    explanation = explain(bank(age=17), law())
    assert explanation.verdict.rule == "minors-for-named-purposes-only"
    assert "Law 91/2025" in sentence(explanation, law()).en
    assert "the age was not told" not in needs(explanation, law())[0].en
    assert "the age was not told" in needs(explain(bank(age=None), law()), law())[0].en


def test_officer_reads_on_which_ground_when_it_is_permitted() -> None:
    told = sentence(explain(card(), law()), law())
    assert "vss.child-health-insurance@3" in told.en
    assert "Law 91/2025 Art 19.1(c)" in told.vi


def test_there_are_words_when_a_look_up_can_be_refused_without_a_person() -> None:
    assert (set(REFUSALS) | {Reason.CONDITION_NOT_MET}) - ABOUT_SOMEBODY <= WHY.keys()
    assert WHY.keys() == NEEDED.keys()
