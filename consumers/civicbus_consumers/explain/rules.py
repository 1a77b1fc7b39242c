"""The answer to a question that names no person, judged by the code that judges releases. Pure.

A question tells whom, what, why and on which day; what a decision would read of a person (age,
consent) is assumed. `access.decide` answers for streams and `lookup.rules` for look-ups, on
the plans that they are given in operation: nothing is judged here a second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from enum import StrEnum

from civicbus_schemas.agreement import NATION_ZONE, Agreement
from civicbus_schemas.consent import NO_CONSENTS, Consent, SubjectConsents
from civicbus_schemas.decision import Deny, Facts
from civicbus_schemas.ids import AgencyId, EventType
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.vocabulary import ConsentStatus, Reason

from civicbus_consumers.access import permits
from civicbus_consumers.access.decide import MAJORITY_YEARS, is_minor, judge
from civicbus_consumers.access.plan import Plan, PlannedRelease, PlannedType, compile_plan
from civicbus_consumers.access.rules import Authority
from civicbus_consumers.lookup import rules as lookup
from civicbus_consumers.lookup.plan import VIEW, ReadPlan, compile_reads
from civicbus_consumers.lookup.request import Mode


class Action(StrEnum):
    """How a recipient gets a field."""

    RELEASE = permits.RELEASE
    READ = permits.READ
    VERIFY = permits.VERIFY


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """May this agency have these fields for this purpose? Of a stream, no field means all.

    `age` (full years) and `consent` are assumed of the person; None is an unknown age. Whoever
    `breaks_glass` says that a life depends on it.
    """

    recipient: AgencyId
    action: Action
    dataset: EventType
    fields: tuple[str, ...]
    purpose: str
    day: date
    consent: bool = False
    age: int | None = None
    breaks_glass: bool = False

    @property
    def at(self) -> datetime:
        """Noon of the day, in the nation's zone."""
        return datetime.combine(self.day, time(12), NATION_ZONE)

    @property
    def mode(self) -> Mode:
        """As a look-up asks."""
        return Mode.READ if self.action is Action.READ else Mode.VERIFY


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one judgement said; `reason` is None where the fields may be had.

    `agreement` is the one that came furthest, `fields` are those outside of it.
    """

    reason: Reason | None
    agreement: Agreement | None = None
    rule: str | None = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A question and the verdict on it."""

    question: Question
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Explanation:
    """The question as it was asked; then, step by step, as it would be without what refused it."""

    steps: tuple[Judged, ...]

    @property
    def question(self) -> Question:
        """As it was asked."""
        return self.steps[0].question

    @property
    def verdict(self) -> Verdict:
        """On the question as it was asked."""
        return self.steps[0].verdict

    @property
    def permitted(self) -> bool:
        """Whether the fields may be had."""
        return self.verdict.reason is None

    @property
    def obstacles(self) -> tuple[Judged, ...]:
        """All that stands in the way, as far as one can see past each."""
        return tuple(step for step in self.steps if step.verdict.reason is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """One policy set as streams and look-ups read it, and the grounds of its rules."""

    policy: PolicySet
    releases: Plan
    reads: ReadPlan
    grounds: Mapping[str, str]


def compile_law(policy: PolicySet) -> Law:
    """Both plans of a policy set; nothing is cut with them, so that they hold no key."""
    authority = Authority(policy)
    return Law(
        policy=policy,
        releases=compile_plan(policy, pairwise_key_of=lambda _: b"", authority=authority),
        reads=compile_reads(policy, authority=authority),
        grounds=authority.grounds,
    )


def explain(question: Question, law: Law) -> Explanation:
    """The verdict on a question, and all that would have to change, as far as it can be changed."""
    return Explanation(tuple(_steps(question, law)))


def _steps(question: Question, law: Law) -> Iterator[Judged]:
    while True:
        verdict = answer(question, law)
        yield Judged(question=question, verdict=verdict)
        rest = tuple(path for path in question.fields if path not in verdict.fields)
        match verdict.reason:
            case Reason.NO_CONSENT:
                question = replace(question, consent=True)
            case Reason.BREAK_GLASS_ONLY:
                question = replace(question, breaks_glass=True)
            case Reason.NOT_BREAK_GLASS:
                question = replace(question, breaks_glass=False)
            case Reason.FIELD_NOT_IN_AGREEMENT if rest and verdict.fields:
                question = replace(question, fields=rest)
            case _:
                return


def answer(question: Question, law: Law) -> Verdict:
    """What streams or look-ups would decide."""
    if question.action is Action.RELEASE:
        return _of_streams(question, law.releases)
    return _of_look_ups(question, law.reads)


def _of_look_ups(question: Question, plan: ReadPlan) -> Verdict:
    if question.dataset != VIEW:
        return Verdict(reason=Reason.NO_AGREEMENT)
    needed = frozenset(f"{VIEW}:{path}" for path in question.fields)
    found = lookup.under_agreements(
        question,
        plan,
        recipient=question.recipient,
        consents=_assumed(question, needed),
        at=question.at,
    )
    if isinstance(found, lookup.Grant):
        minor = None if question.age is None else question.age < MAJORITY_YEARS
        found = lookup.under_rules(found, question, plan, minor=minor)
    if isinstance(found, lookup.Grant):
        return Verdict(reason=None, agreement=found.agreement)
    outside: tuple[str, ...] = ()
    if found.reason is Reason.FIELD_NOT_IN_AGREEMENT and found.agreement is not None:
        reads = found.agreement.reads[VIEW]
        allowed = reads.read if question.mode is Mode.READ else reads.verify
        outside = tuple(path for path in question.fields if path not in allowed)
    return Verdict(reason=found.reason, agreement=found.agreement, rule=found.rule, fields=outside)


def _of_streams(question: Question, plan: Plan) -> Verdict:
    """Of several agreements one that permits is enough; else the one that came furthest."""
    mine = [
        (type_, planned)
        for (_, event_type), type_ in plan.types.items()
        if event_type == question.dataset
        for planned in type_.releases
        if planned.agreement.recipient == question.recipient
    ]
    meant = [pair for pair in mine if pair[1].agreement.purpose == question.purpose]
    if not meant:
        return Verdict(reason=Reason.PURPOSE_MISMATCH if mine else Reason.NO_AGREEMENT)
    if question.breaks_glass:
        return Verdict(reason=Reason.NOT_BREAK_GLASS, agreement=meant[0][1].agreement)
    verdicts = [_under_release(question, type_, planned) for type_, planned in meant]
    return max(verdicts, key=_how_far)


def _under_release(question: Question, type_: PlannedType, planned: PlannedRelease) -> Verdict:
    born = None if question.age is None else _born(question.day, question.age)
    facts = Facts(
        provider=planned.agreement.provider,
        event_type=question.dataset,
        contract=type_.contract.fingerprint,
        values=dict.fromkeys(type_.decision_paths, (born,)),
    )
    said = judge(
        planned,
        facts,
        _assumed(question, planned.needed),
        minor=is_minor(facts, type_.born, question.at),
        at=question.at,
    )
    outside = tuple(path for path in question.fields if path not in planned.release.paths)
    unbound = isinstance(said, Deny) and said.reason in _NOT_BINDING
    if outside and not unbound:
        return Verdict(
            reason=Reason.FIELD_NOT_IN_AGREEMENT, agreement=planned.agreement, fields=outside
        )
    if isinstance(said, Deny):
        return Verdict(reason=said.reason, agreement=planned.agreement, rule=said.rule)
    return Verdict(reason=None, agreement=planned.agreement)


_NOT_BINDING = (Reason.NOT_YET_IN_FORCE, Reason.EXPIRED)
_FURTHER = (*lookup.REFUSALS, *(reason for reason in Reason if reason not in lookup.REFUSALS))


def _how_far(verdict: Verdict) -> int:
    return len(_FURTHER) if verdict.reason is None else _FURTHER.index(verdict.reason)


def _assumed(question: Question, needed: frozenset[str]) -> SubjectConsents:
    """A consent to all that is needed, where one is assumed."""
    if not question.consent:
        return NO_CONSENTS
    consent = Consent(
        id="assumed",
        version=1,
        recipient=question.recipient,
        purpose=question.purpose,
        fields=needed,
        status=ConsentStatus.GIVEN,
        since=question.at,
    )
    return SubjectConsents((consent,))


def _born(day: date, age: int) -> date:
    """A day of birth of which somebody is so old on that day."""
    try:
        return day.replace(year=day.year - age)
    except ValueError:  # 29 February
        return day.replace(year=day.year - age, day=28)
