"""From a nation's files and what officers have signed to the policy set that may bind. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785
from civicbus_schemas.agreement import Agreement
from civicbus_schemas.ids import AgreementRef
from civicbus_schemas.policy import PolicySet, parse_policy_set
from civicbus_schemas.statement import Standing, Statement, standing_of

from civicbus_deploy.provisioning.documents import InvalidNation
from civicbus_deploy.provisioning.nation import Nation


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What may be announced: the set, its bytes, and the agreements that are drafts still."""

    policy: PolicySet
    data: bytes
    drafts: tuple[Agreement, ...]


def bind(nation: Nation, statements: Iterable[Statement]) -> Bound:
    """The nation with what was signed about it; drafts are left out, and told.

    Raises `InvalidNation` where the text of a version that is approved was changed.
    """
    whole = with_statements(nation, statements)
    drafts = tuple(a for a in whole.agreements if a.standing is Standing.DRAFT)
    left_out = {agreement.ref for agreement in drafts}
    kept = [s for s in whole.statements if s.agreement not in left_out]
    data = _bytes(nation.document, nation.policy, kept, without=left_out)
    return Bound(policy=parse_policy_set(data), data=data, drafts=drafts)


def with_statements(nation: Nation, statements: Iterable[Statement]) -> PolicySet:
    """All agreements of the nation, drafts too, each where its parties have put it."""
    signed = sorted(set(statements), key=lambda s: (s.at, s.signature))
    for agreement in nation.policy.agreements:
        _check_unchanged(agreement, signed)
    terms = {agreement.ref: agreement.terms for agreement in nation.policy.agreements}
    about = [s for s in signed if terms.get(s.agreement) == s.terms]
    return parse_policy_set(_bytes(nation.document, nation.policy, about))


def missing(agreement: Agreement, statements: Iterable[Statement]) -> list[str]:
    """The parties who have not approved these terms yet."""
    signed = list(statements)
    return [
        str(party)
        for party in agreement.approved_by
        if standing_of(agreement.ref, terms=agreement.terms, parties=[party], statements=signed)
        is Standing.DRAFT
    ]


def _check_unchanged(agreement: Agreement, statements: Iterable[Statement]) -> None:
    """What both have approved is fixed: another text is another version."""
    signed = [s for s in statements if s.agreement == agreement.ref]
    for terms in {s.terms for s in signed} - {agreement.terms}:
        standing = standing_of(
            agreement.ref, terms=terms, parties=agreement.approved_by, statements=signed
        )
        if standing is not Standing.DRAFT:
            raise InvalidNation(
                f"agreements/{agreement.ref.id}.yaml: {agreement.ref} is {standing} in other terms",
                got=f"terms {agreement.terms[:16]}…",
                expected=f"terms {terms[:16]}…",
                next_step="give the changed text a new version, and let both approve that",
            )


def _bytes(
    document: Mapping[str, Any],
    policy: PolicySet,
    statements: Iterable[Statement],
    *,
    without: Iterable[AgreementRef] = (),
) -> bytes:
    left_out = set(without)
    agreements = [
        body
        for body, agreement in zip(document["agreements"], policy.agreements, strict=True)
        if agreement.ref not in left_out
    ]
    return rfc8785.dumps(
        {**document, "agreements": agreements, "statements": [s.document() for s in statements]}
    )
