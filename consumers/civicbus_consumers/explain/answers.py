"""An explanation as AuthZEN answers it: a decision, and a context that says why. Pure."""

from __future__ import annotations

from typing import Any

from civicbus_schemas.terms import Title

from civicbus_consumers.explain.rules import Explanation, Law
from civicbus_consumers.explain.words import needs, sentence
from civicbus_consumers.lookup.problems import Problem, status_of


def answer_document(explanation: Explanation, law: Law) -> dict[str, Any]:
    """The evaluation of one question; members of the context without a value are left out."""
    verdict, question = explanation.verdict, explanation.question
    agreement = verdict.agreement
    context: dict[str, Any] = {
        "policy_version": law.policy.version,
        "day": question.day.isoformat(),
        "reason": verdict.reason,
        "agreement": agreement and str(agreement.ref),
        "basis": agreement and agreement.basis,
        "rule": verdict.rule and {"id": verdict.rule, "ground": law.grounds[verdict.rule]},
        "fields": list(verdict.fields),
        "reason_user": _both(sentence(explanation, law)),
        "needed": [
            {"reason": step.verdict.reason, **_both(said)}
            for step, said in zip(explanation.obstacles, needs(explanation, law), strict=True)
        ],
    }
    told = {name: value for name, value in context.items() if value not in (None, [])}
    return {"decision": explanation.permitted, "context": told}


def error_document(problem: Problem) -> dict[str, Any]:
    """What one question of a batch comes to that could not be judged: a denial that says why."""
    error = {"status": status_of(problem.code).value, "code": problem.code.value}
    return {"decision": False, "context": {"error": error | dict(problem.members)}}


def _both(title: Title) -> dict[str, str]:
    return {"vi": title.vi, "en": title.en}
