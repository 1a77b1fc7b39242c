"""An explanation is the decision: held against streams, look-ups and Cedar by random questions."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import cache

from civicbus_consumers.access.cedar import Asked
from civicbus_consumers.access.decide import decide
from civicbus_consumers.access.permits import whole_day
from civicbus_consumers.explain.rules import Action, Law, Question, compile_law, explain
from civicbus_consumers.lookup import rules as lookup
from civicbus_consumers.lookup.plan import VIEW
from civicbus_consumers.lookup.request import Mode
from civicbus_schemas.agreement import Agreement, local_day
from civicbus_schemas.consent import Consent, SubjectConsents
from civicbus_schemas.decision import Facts, Permit
from civicbus_schemas.ids import EventType
from civicbus_schemas.vocabulary import Access, ConsentRule, ConsentStatus

from tests.properties.test_access_rules_properties import POLICY, TIMES, all_allowed
from tests.unit import lookup_samples as samples

QUESTIONS = 2_000


@cache
def law() -> Law:
    return compile_law(POLICY)


def questions() -> Iterator[Question]:
    """Near what some agreement says as often as not."""
    draw = random.Random(5_000)  # noqa: S311
    for _ in range(QUESTIONS):
        agreement = draw.choice(POLICY.agreements)
        dataset = draw.choice([*agreement.releases, *agreement.reads])
        action = draw.choice([Action.READ, Action.VERIFY])
        if dataset in agreement.releases and draw.random() < 0.95:
            action = Action.RELEASE
        fields = draw.sample(some_fields(draw, agreement, dataset), 1)
        if action is Action.RELEASE and draw.random() < 0.3:
            fields = []
        near = draw.random() < 0.9
        yield Question(
            recipient=agreement.recipient if near else draw.choice(list(POLICY.agencies)),
            action=action,
            dataset=dataset,
            fields=tuple(fields),
            purpose=agreement.purpose if near else draw.choice(list(POLICY.purposes)),
            day=local_day(draw.choice(TIMES)),
            consent=draw.random() < 0.7,
            age=draw.choice([None, 0, 5, 6, 17, 18, 40]),
            breaks_glass=(agreement.access is Access.BREAK_GLASS) is (draw.random() < 0.9),
        )


def some_fields(draw: random.Random, agreement: Agreement, dataset: EventType) -> list[str]:
    """What the agreement names, or what the contract has."""
    if draw.random() < 0.2:
        return list(POLICY.contracts[dataset].fields)
    if dataset in agreement.releases:
        return list(agreement.releases[dataset].paths)
    return sorted(agreement.reads[dataset].read | agreement.reads[dataset].verify)


def born(question: Question) -> date | None:
    """A day and some weeks after the birthday."""
    if question.age is None:
        return None
    return question.day - timedelta(days=round(question.age * 365.25) + 40)


def consents(question: Question, needed: frozenset[str]) -> SubjectConsents:
    """What a person has who consented, and one who did not."""
    consent = Consent(
        id="c",
        version=1,
        recipient=question.recipient,
        purpose=question.purpose,
        fields=needed,
        status=ConsentStatus.GIVEN,
        since=question.at,
    )
    return SubjectConsents((consent,) if question.consent else ())


def released(question: Question) -> bool:
    """Whether enforcement would release all of these fields under some agreement."""
    plan, found = law().releases, []
    for (provider, event_type), type_ in plan.types.items():
        if event_type != question.dataset:
            continue
        facts = Facts(
            provider=provider,
            event_type=event_type,
            contract=type_.contract.fingerprint,
            values=dict.fromkeys(type_.decision_paths, (born(question),)),
        )
        needed = frozenset(f"{event_type}:{path}" for path in type_.contract.fields)
        decisions = decide(facts, plan, consents(question, needed), question.at)
        found += [
            isinstance(decision, Permit)
            and not question.breaks_glass
            and set(question.fields) <= set(planned.release.paths)
            for planned, decision in zip(type_.releases, decisions, strict=True)
            if planned.agreement.recipient == question.recipient
            and planned.agreement.purpose == question.purpose
        ]
    return any(found)


def looked_up(question: Question) -> bool:
    """Whether a look-up of such a person would be answered; nobody's age is unknown there."""
    day = born(question)
    assert day is not None
    request = replace(
        samples.request(),
        purpose=question.purpose,
        break_glass="a life" if question.breaks_glass else None,
        mode=Mode.READ if question.action is Action.READ else Mode.VERIFY,
        fields=question.fields,
        date_of_birth=day,
    )
    needed = frozenset(f"{VIEW}:{path}" for path in question.fields)
    verdict = lookup.judge(
        request,
        law().reads,
        recipient=question.recipient,
        consents=consents(question, needed),
        person=samples.person(date_of_birth=day),
        at=question.at,
    )
    return isinstance(verdict, lookup.Grant)


def asked(question: Question, agreement: Agreement) -> list[Asked]:
    """What Cedar must allow under this agreement."""
    paths = set(question.fields) or set(POLICY.contracts[question.dataset].fields)
    conditions = knows = True
    if question.action is Action.RELEASE and question.dataset in agreement.releases:
        release = agreement.releases[question.dataset]
        paths = {*question.fields, *release.paths}
        conditions = all(
            question.age is not None and question.age < condition.years
            for condition in release.only_if
        )
        [*types] = [t for (_, e), t in law().releases.types.items() if e == question.dataset]
        knows = types[0].born in types[0].decision_paths
    age = question.age if knows else None
    return [
        Asked(
            recipient=question.recipient,
            action=question.action,
            dataset=question.dataset,
            path=path,
            purpose=question.purpose,
            basis=agreement.basis,
            agreement=str(agreement.ref),
            day=whole_day(question.day),
            conditions=conditions,
            consent=question.consent and agreement.consent is ConsentRule.REQUIRED,
            minor=minor,
            break_glass=question.breaks_glass,
        )
        for path in sorted(paths)
        for minor in ([False, True] if age is None else [age < 18])
    ]


def test_explanation_is_the_decision_when_streams_or_look_ups_are_asked_the_same() -> None:
    told = Counter[tuple[bool, bool]]()
    for question in questions():
        if question.action is Action.RELEASE:
            decided = released(question)
        elif question.age is None or question.dataset != VIEW:
            continue
        else:
            decided = looked_up(question)
        told[explain(question, law()).permitted, decided] += 1
    assert told.keys() == {(True, True), (False, False)}
    assert min(told.values()) > QUESTIONS / 10


def test_explanation_is_what_cedar_says_when_it_is_asked_over_the_whole_set() -> None:
    every = list(questions())
    named = [
        [
            agreement
            for agreement in POLICY.agreements
            if (agreement.recipient, agreement.purpose) == (question.recipient, question.purpose)
        ]
        for question in every
    ]
    under = iter(
        all_allowed(
            [
                asked(question, agreement)
                for question, agreements in zip(every, named, strict=True)
                for agreement in agreements
            ]
        )
    )
    told = Counter(
        (explain(question, law()).permitted, any([next(under) for _ in agreements]))  # noqa: C419
        for question, agreements in zip(every, named, strict=True)
    )
    assert told.keys() == {(True, True), (False, False)}
