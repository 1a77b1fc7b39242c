"""What a reviewer would object to in a policy set that is otherwise sound. Pure."""

from __future__ import annotations

import re

from civicbus_consumers.access.plan import compile_plan
from civicbus_consumers.access.rules import Authority
from civicbus_consumers.lookup.plan import compile_reads
from civicbus_schemas.agreement import Agreement
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.policy import PolicySet

_CATEGORY = re.compile(r"pd:[A-Z][A-Za-z]+")


def review(policy: PolicySet) -> None:
    """Raise `InvalidAgreement` for the first objection, as the bus itself would."""
    authority = Authority(policy)
    authority.check_whole()
    compile_plan(policy, pairwise_key_of=lambda _: b"", authority=authority)
    compile_reads(policy, authority=authority)
    _review_families(policy)
    _review_categories(policy)
    for agreement in policy.agreements:
        _review_agreement(agreement)


def _review_families(policy: PolicySet) -> None:
    """An agency deals in families of which there are contracts."""
    families = {c.family for c in policy.contracts.values() if not c.is_view}
    views = {c.family for c in policy.contracts.values() if c.is_view}
    for agency in policy.agencies.values():
        unknown = sorted({*agency.publishes, *agency.receives} - families | {*agency.keeps} - views)
        if unknown:
            raise InvalidAgreement(
                f"agencies.yaml: {agency.id} names unknown families",
                got=unknown,
                expected=sorted(families | views),
            )


def _review_categories(policy: PolicySet) -> None:
    """A category is a term of the W3C Data Privacy Vocabulary, extension Personal Data."""
    for contract in policy.contracts.values():
        for leaf in contract.fields.values():
            if leaf.category is not None and not _CATEGORY.fullmatch(leaf.category):
                raise InvalidAgreement(
                    f"{contract.event_type}: category of {leaf.path}",
                    got=leaf.category,
                    expected="pd:<Term> of W3C DPV, or null",
                )


def _review_agreement(agreement: Agreement) -> None:
    """Nobody agrees with himself."""
    if agreement.provider == agreement.recipient:
        raise InvalidAgreement(f"{agreement.ref}: provider and recipient are the same")
