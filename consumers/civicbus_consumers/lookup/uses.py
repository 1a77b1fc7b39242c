"""Which uses of counted consents the verdicts about look-ups rest on. Pure.

A token is good for one look-up, and so is the use that is claimed by its id. The person is not
looked at: a look-up with a wrong name spends a use, too, or names could be tried for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.consent import Consent, SubjectConsents

from civicbus_consumers.consent.uses import Use, use_of
from civicbus_consumers.lookup.plan import ReadPlan
from civicbus_consumers.lookup.request import LookupRequest
from civicbus_consumers.lookup.rules import Grant, Within, under_agreements, unlimited
from civicbus_consumers.lookup.token import Token


def reserved_by(token: Token, granted: frozenset[Use]) -> frozenset[str]:
    """The ids of the consents of which a use was granted to this token's look-up."""
    return frozenset(use.consent for use in granted if use.claim == _claim(token))


def wanted_uses(
    token: Token,
    request: LookupRequest,
    plan: ReadPlan,
    *,
    consents: SubjectConsents,
    at: datetime,
    refused: frozenset[Use],
    within: Within = unlimited,
) -> Iterator[Use]:
    """The use that a grant would rest on if all but the refused ones could be had."""

    def may_have(agreement: Agreement, consent: Consent) -> bool:
        del agreement
        return _use(token, consent, at) not in refused

    verdict = under_agreements(
        request,
        plan,
        recipient=token.agency,
        consents=consents,
        at=at,
        has_use=may_have,
        within=within,
    )
    if isinstance(verdict, Grant) and verdict.consent is not None:
        use = _use(token, verdict.consent, at)
        if use is not None:
            yield use


def _use(token: Token, consent: Consent, at: datetime) -> Use | None:
    return use_of(consent, _claim(token), at)


def _claim(token: Token) -> str:
    return f"lookup {token.agency} {token.jti}"
