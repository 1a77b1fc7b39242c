"""The decision: who may have this event, judged from facts, plan, consents and one time.

Checked in a fixed order, so that a denial always names the first that refused: standing and
validity of the agreement, national rules, conditions, consent.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from civicbus_schemas.agreement import AgeUnder, Agreement, Condition, local_day
from civicbus_schemas.consent import Consent, SubjectConsents
from civicbus_schemas.decision import Decision, Deny, Facts, Permit
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.vocabulary import ConsentRule, Reason

from civicbus_consumers.access.answers import age_on
from civicbus_consumers.access.plan import Plan, PlannedRelease

MAJORITY_YEARS = 18
"""Who is younger is a minor (Vietnam: Civil Code 91/2015, Article 21)."""


HasUse = Callable[[Agreement, Consent], bool]
"""Whether a use of this counted consent is reserved for a decision under this agreement."""


def none_is_reserved(agreement: Agreement, consent: Consent) -> bool:
    """Of a counted consent no use is left where nobody reserved one (deny by default)."""
    del agreement, consent
    return False


def decide(
    facts: Facts,
    plan: Plan,
    consents: SubjectConsents,
    at: datetime,
    *,
    has_use: HasUse = none_is_reserved,
) -> tuple[Decision, ...]:
    """One decision for every agreement that names the event's type, in the plan's order."""
    planned = plan.find(facts.provider, facts.event_type)
    if planned is None:
        return ()
    minor = is_minor(facts, planned.born, at)
    return tuple(
        judge(r, facts, consents, minor=minor, at=at, has_use=has_use) for r in planned.releases
    )


def judge(
    planned: PlannedRelease,
    facts: Facts,
    consents: SubjectConsents,
    *,
    minor: bool | None,
    at: datetime,
    has_use: HasUse = none_is_reserved,
) -> Decision:
    """The decision under one agreement about a person who is a minor, or not, or of unknown age."""
    agreement = planned.agreement
    lapse = agreement.lapse(at)
    if lapse is not None:
        return Deny(agreement=agreement.ref, reason=lapse)
    rule = planned.bans.about(minor=minor)
    if rule is not None:
        return Deny(agreement=agreement.ref, reason=Reason.FORBIDDEN_BY_RULE, rule=rule)
    if not all(holds(condition, facts, at) for condition in planned.release.only_if):
        return Deny(agreement=agreement.ref, reason=Reason.CONDITION_NOT_MET)
    if agreement.consent is ConsentRule.NOT_REQUIRED:
        return Permit(agreement=agreement.ref)
    consent, refusal = covering_consent(
        consents,
        recipient=agreement.recipient,
        purpose=agreement.purpose,
        needed=planned.needed,
        at=at,
        has_use=partial(has_use, agreement),
    )
    if refusal is not None:
        return Deny(agreement=agreement.ref, reason=refusal, consent=consent)
    return Permit(agreement=agreement.ref, consent=consent)


def is_minor(facts: Facts, born: str | None, at: datetime) -> bool | None:
    """Whether the person is a minor on that day; None where their age is not known."""
    values = facts.values.get(born, ()) if born is not None else ()
    ages = [age_on(day, local_day(at)) for day in values if day is not None]
    if not ages or min(ages) < 0:
        return None
    return min(ages) < MAJORITY_YEARS


def holds(condition: Condition, facts: Facts, at: datetime) -> bool:
    """Whether a condition holds; a value that is absent fails it (deny by default)."""
    match condition:
        case AgeUnder(path=path, years=years):
            values = facts.values[path]
            return bool(values) and all(
                born is not None and 0 <= age_on(born, local_day(at)) < years for born in values
            )


def covering_consent(
    consents: SubjectConsents,
    *,
    recipient: AgencyId,
    purpose: str,
    needed: frozenset[str],
    at: datetime,
    has_use: Callable[[Consent], bool],
) -> tuple[Consent | None, Reason | None]:
    """A consent that covers all that is needed, or the newest one and why it does not.

    One whose uses are not counted comes first, so that none is spent without need.
    """
    counted: Consent | None = None
    newest: Consent | None = None
    refusal: Reason | None = Reason.NO_CONSENT
    for consent in consents.find(recipient, purpose):
        lapse = consent.lapse(needed, at)
        if lapse is None and consent.uses is None:
            return consent, None
        if lapse is None and has_use(consent):
            counted = counted or consent
        elif newest is None:
            newest, refusal = consent, lapse or Reason.CONSENT_USED_UP
    return (newest, refusal) if counted is None else (counted, None)
