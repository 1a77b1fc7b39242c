"""Data agreements: what a citizen is asked to consent to (GovStack's Consent building block).

One per recipient and purpose, derived from the agreements of the policy set that rest on consent.
Its document is what the citizen is shown, and its hash is what he agreed to. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.contract import Field
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.vocabulary import ConsentRule

from civicbus_consumers.access.rules import Authority, Signing

Key = tuple[AgencyId, str]
"""Recipient and purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAgreement:
    """What one recipient may be allowed for one purpose, and who may sign for each field."""

    recipient: AgencyId
    purpose: str
    signings: Mapping[str, tuple[Signing, ...]]
    document: Mapping[str, Any]
    hash: str

    @property
    def fields(self) -> frozenset[str]:
        """Its fields, as `dataset:path`."""
        return frozenset(self.signings)

    @property
    def id(self) -> str:
        """`<recipient>.<purpose>`."""
        return f"{self.recipient}.{self.purpose}"

    def level_for(self, fields: Iterable[str], *, minor: bool) -> int | None:
        """The eID level that a consent to these fields needs; None where rules let nobody sign."""
        signings = (signing for field in fields for signing in self.signings[field])
        levels = [signing.minor if minor else signing.grown for signing in signings]
        possible = [level for level in levels if level is not None]
        return max(possible, default=0) if len(possible) == len(levels) else None


def derive_data_agreements(policy: PolicySet) -> Mapping[Key, DataAgreement]:
    """The data agreements of a policy set; the same set gives the same hashes."""
    grounds: dict[Key, list[Agreement]] = {}
    for agreement in policy.agreements:
        if agreement.consent is ConsentRule.REQUIRED:
            grounds.setdefault((agreement.recipient, agreement.purpose), []).append(agreement)
    authority = Authority(policy)
    return {key: _derive(authority, policy, agreements) for key, agreements in grounds.items()}


def _derive(authority: Authority, policy: PolicySet, agreements: list[Agreement]) -> DataAgreement:
    recipient, purpose = agreements[0].recipient, agreements[0].purpose
    signings = [authority.signings(agreement) for agreement in agreements]
    fields = dict(pair for agreement in agreements for pair in _fields(policy, agreement))
    agency, why = policy.agencies[recipient], policy.purposes[purpose]
    document = {
        "id": f"{recipient}.{purpose}",
        "recipient": {"id": recipient, "vi": agency.names.vi, "en": agency.names.en},
        "purpose": {"id": purpose, "vi": why.titles.vi, "en": why.titles.en},
        "lawful_basis": [
            {"id": basis, "article": policy.bases[basis].article}
            for basis in sorted({agreement.basis for agreement in agreements})
        ],
        "retention": sorted({agreement.retention for agreement in agreements}),
        "agreements": sorted(str(agreement.ref) for agreement in agreements),
        "fields": [
            {
                "name": name,
                "doc": field.doc,
                "category": field.category,
                "sensitivity": field.sensitivity.value,
            }
            for name, field in sorted(fields.items())
        ],
    }
    return DataAgreement(
        recipient=recipient,
        purpose=purpose,
        signings={
            name: tuple(found[name] for found in signings if name in found) for name in fields
        },
        document=document,
        hash=hashlib.sha256(canonical_json(document)).hexdigest(),
    )


def _fields(policy: PolicySet, agreement: Agreement) -> Iterator[tuple[str, Field]]:
    for event_type, release in agreement.releases.items():
        for path in release.paths:
            yield f"{event_type}:{path}", policy.contracts[event_type].fields[path]
    for view, reads in agreement.reads.items():
        for path in reads.read | reads.verify:
            yield f"{view}:{path}", policy.contracts[view].fields[path]
