"""Who may look up what about whom, judged from a request, the plan, consents and one time. Pure.

Rules are judged in this order, and a refusal names the first that refused:

1. agreement  the recipient has one on this view, and one for this purpose; one for emergencies
              serves look-ups that break the glass, and no others
2. validity   it is in force on this day, neither suspended nor revoked
3. fields     it names every field asked for, in this mode; all or nothing
4. limits     it has not been asked too much already; no other agreement helps then
5. consent    where the agreement needs one, it covers every field (I3)
6. person     the PIN is known, and full name and date of birth are that person's
7. rules      no national rule forbids a field about a person of this age

Of a counted consent a use must have been reserved for this look-up; a mistyped name spends it. A
limit comes before consent, so that what it refuses spends none, and tells nothing of the person.

Consent comes before the person: whoever lacks it must not learn from the kind of refusal whether a
name, a date and a number belong together, or whether the number exists. Rules come last, since they
may tell a minor from others; what they forbid about everybody is refused with the policy set. For
the same reason as consent an unknown number and another's name are told apart in the record only,
and take equally long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any, Protocol

from civicbus_schemas.agreement import Agreement, local_day
from civicbus_schemas.consent import Consent, SubjectConsents
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.vocabulary import Access, ConsentRule, Reason

from civicbus_consumers.access.answers import age_on
from civicbus_consumers.access.decide import (
    MAJORITY_YEARS,
    HasUse,
    covering_consent,
    none_is_reserved,
)
from civicbus_consumers.lookup.matching import identifies
from civicbus_consumers.lookup.plan import VIEW, ReadPlan
from civicbus_consumers.lookup.request import Mode

REFUSALS = (
    Reason.NO_AGREEMENT,
    Reason.PURPOSE_MISMATCH,
    Reason.BREAK_GLASS_ONLY,
    Reason.NOT_BREAK_GLASS,
    Reason.NOT_YET_IN_FORCE,
    Reason.EXPIRED,
    Reason.AGREEMENT_REVOKED,
    Reason.AGREEMENT_SUSPENDED,
    Reason.FIELD_NOT_IN_AGREEMENT,
    Reason.LIMIT_EXCEEDED,
    Reason.DAILY_LIMIT_EXCEEDED,
    Reason.NO_CONSENT,
    Reason.CONSENT_TOO_NARROW,
    Reason.CONSENT_WITHDRAWN,
    Reason.CONSENT_EXPIRED,
    Reason.CONSENT_PAUSED,
    Reason.CONSENT_USED_UP,
    Reason.SUBJECT_NOT_FOUND,
    Reason.IDENTITY_MISMATCH,
    Reason.FORBIDDEN_BY_RULE,
)
"""Every reason of a refusal; of two agreements the one whose reason comes later came further."""

Within = Callable[[Agreement], Reason | None]
"""The limit that refuses this look-up under an agreement, None where there is none."""


def unlimited(agreement: Agreement) -> None:
    """No limit refuses, where nothing is released."""
    del agreement


class Person(Protocol):
    """One person of the view: a value for every path of its contract."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The values by path, None where the view knows none."""
        ...


class Wanted(Protocol):
    """What is asked for, whoever it is about (a `LookupRequest`, or a question about one)."""

    @property
    def purpose(self) -> str:
        """Why."""
        ...

    @property
    def mode(self) -> Mode:
        """Values, or answers to claims."""
        ...

    @property
    def fields(self) -> tuple[str, ...]:
        """Paths of the view."""
        ...

    @property
    def breaks_glass(self) -> bool:
        """Whether a life is said to depend on it."""
        ...


class Named(Wanted, Protocol):
    """What is asked for about one person, who is named."""

    @property
    def full_name(self) -> str:
        """As it was given."""
        ...

    @property
    def date_of_birth(self) -> date:
        """As it was given."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The look-up is answered under this agreement, on this consent where one is needed."""

    agreement: Agreement
    consent: Consent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The look-up is not answered.

    `fields` are fields of the view that no agreement names, `rule` is the rule that forbade it.
    """

    reason: Reason
    rule: str | None = None
    agreement: Agreement | None = None
    consent: Consent | None = None
    fields: tuple[str, ...] = field(default=())


Verdict = Grant | Refusal


def judge(
    request: Named,
    plan: ReadPlan,
    *,
    recipient: AgencyId,
    consents: SubjectConsents,
    person: Person | None,
    at: datetime,
    has_use: HasUse = none_is_reserved,
    within: Within = unlimited,
) -> Verdict:
    """The verdict on one request about one person."""
    same = identifies(request, person)  # always, so that it takes equally long
    verdict = under_agreements(
        request,
        plan,
        recipient=recipient,
        consents=consents,
        at=at,
        has_use=has_use,
        within=within,
    )
    if isinstance(verdict, Refusal):  # 1 to 5
        return verdict
    if person is None or not same:  # 6
        reason = Reason.SUBJECT_NOT_FOUND if person is None else Reason.IDENTITY_MISMATCH
        return Refusal(reason=reason, agreement=verdict.agreement, consent=verdict.consent)
    age = age_on(person.values["date_of_birth"], local_day(at))
    return under_rules(verdict, request, plan, minor=age < MAJORITY_YEARS)  # 7


def under_agreements(
    wanted: Wanted,
    plan: ReadPlan,
    *,
    recipient: AgencyId,
    consents: SubjectConsents,
    at: datetime,
    has_use: HasUse = none_is_reserved,
    within: Within = unlimited,
) -> Verdict:
    """The verdict as far as it needs no person; of several agreements one that grants is enough.

    Where none grants, the refusal is that of the agreement that came furthest. Where one has
    been asked too much, the others are not tried: the record could not tell why they were.
    """
    agreements = plan.agreements.get((recipient, wanted.purpose), ())
    if not agreements:  # 1
        other = recipient in plan.recipients
        return Refusal(reason=Reason.PURPOSE_MISMATCH if other else Reason.NO_AGREEMENT)
    if (agreements[0].access is Access.BREAK_GLASS) is not wanted.breaks_glass:
        reason = Reason.NOT_BREAK_GLASS if wanted.breaks_glass else Reason.BREAK_GLASS_ONLY
        return Refusal(reason=reason, agreement=agreements[0])
    refusals = []
    for agreement in agreements:
        refusal = _of_agreement(agreement, wanted, plan, at=at)
        if refusal is None:
            limit = within(agreement)
            if limit is not None:  # 4
                return Refusal(reason=limit, agreement=agreement)
            verdict = _on_consent(agreement, wanted, consents=consents, at=at, has_use=has_use)
            if isinstance(verdict, Grant):
                return verdict
            refusal = verdict
        refusals.append(refusal)
    return max(refusals, key=lambda refusal: REFUSALS.index(refusal.reason))


def under_rules(grant: Grant, wanted: Wanted, plan: ReadPlan, *, minor: bool | None) -> Verdict:
    """The grant, unless a national rule forbids a field; where the age is unknown, any rule."""
    bans = plan.bans[grant.agreement.ref, wanted.mode]
    for path in wanted.fields:
        rule = bans[path].about(minor=minor)
        if rule is not None:
            return Refusal(
                reason=Reason.FORBIDDEN_BY_RULE,
                rule=rule,
                agreement=grant.agreement,
                consent=grant.consent,
            )
    return grant


def _of_agreement(
    agreement: Agreement, wanted: Wanted, plan: ReadPlan, *, at: datetime
) -> Refusal | None:
    lapse = agreement.lapse(at)
    if lapse is not None:  # 2
        return Refusal(reason=lapse, agreement=agreement)
    reads = agreement.reads[VIEW]
    allowed = reads.read if wanted.mode is Mode.READ else reads.verify
    outside = tuple(path for path in wanted.fields if path not in allowed)
    if outside:  # 3
        return Refusal(
            reason=Reason.FIELD_NOT_IN_AGREEMENT,
            agreement=agreement,
            fields=plan.known_fields(outside),
        )
    return None


def _on_consent(
    agreement: Agreement,
    wanted: Wanted,
    *,
    consents: SubjectConsents,
    at: datetime,
    has_use: HasUse,
) -> Verdict:
    if agreement.consent is ConsentRule.NOT_REQUIRED:
        return Grant(agreement=agreement)
    consent, refusal = covering_consent(  # 5
        consents,
        recipient=agreement.recipient,
        purpose=agreement.purpose,
        needed=frozenset(f"{VIEW}:{path}" for path in wanted.fields),
        at=at,
        has_use=partial(has_use, agreement),
    )
    if refusal is not None:
        return Refusal(reason=refusal, agreement=agreement, consent=consent)
    return Grant(agreement=agreement, consent=consent)
