"""Which denials a recipient may be told of. Pure.

A notice tells that something happened to a person whom the recipient knows by a pseudonym. So it
goes only to a recipient that stood in a relation to that very event: by consent, one that covered
the whole release; by law, the agreement itself. And only for a while: who has been told to stop
shall not watch the person ever after.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from civicbus_schemas.agreement import local_day
from civicbus_schemas.consent import Consent, SubjectConsents
from civicbus_schemas.decision import Deny
from civicbus_schemas.vocabulary import ConsentRule, ConsentStatus, Reason, WhenWithheld
from civicbus_schemas.withheld import WithheldReason

from civicbus_consumers.access.plan import PlannedRelease

TOLD_FOR = timedelta(days=30)


def reason_to_tell(
    planned: PlannedRelease, denied: Deny, consents: SubjectConsents, *, at: datetime
) -> WithheldReason | None:
    """What the recipient is told of this denial; None, and silence, wherever in doubt."""
    if planned.agreement.withheld is not WhenWithheld.NOTIFY:
        return None
    match denied.reason:
        case Reason.CONSENT_WITHDRAWN | Reason.CONSENT_PAUSED | Reason.CONSENT_EXPIRED:
            if denied.consent is not None and _covered(denied.consent, planned, at):
                return WithheldReason.CONSENT_CHANGED
        case Reason.CONSENT_USED_UP:
            return WithheldReason.CONSENT_CHANGED
        case Reason.AGREEMENT_SUSPENDED if _stands(planned, consents, at):
            return WithheldReason.AGREEMENT_SUSPENDED
        case Reason.AGREEMENT_REVOKED | Reason.EXPIRED if _stands(planned, consents, at):
            return WithheldReason.AGREEMENT_ENDED
        case Reason.FORBIDDEN_BY_RULE:
            # rules that reach this point are about age: only who was allowed to know is told
            if planned.agreement.consent is ConsentRule.REQUIRED and _stands(planned, consents, at):
                return WithheldReason.RULE
    return None


def _covered(consent: Consent, planned: PlannedRelease, at: datetime) -> bool:
    """Whether a consent covered all of the release, until lately."""
    return planned.needed <= consent.fields and at - _lapsed(consent, at) <= TOLD_FOR


def _lapsed(consent: Consent, at: datetime) -> datetime:
    """Since when a consent has not been in force."""
    ends = [end for end in (consent.valid_until, consent.erase_at) if end is not None and end <= at]
    if consent.status is not ConsentStatus.GIVEN:
        ends.append(consent.since)
    return min(ends, default=at)


def _stands(planned: PlannedRelease, consents: SubjectConsents, at: datetime) -> bool:
    """Whether nothing but agreement or rule is in the way, and its days are not long over."""
    agreement = planned.agreement
    if local_day(at) - agreement.valid_until > TOLD_FOR or local_day(at) < agreement.valid_from:
        return False
    if agreement.consent is ConsentRule.NOT_REQUIRED:
        return True
    return any(
        consent.lapse(planned.needed, at) is None
        for consent in consents.find(agreement.recipient, agreement.purpose)
    )
