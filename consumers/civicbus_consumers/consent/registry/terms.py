"""Data agreements: what a citizen is asked to consent to (GovStack's Consent building block).

One per recipient and purpose, derived from the agreements of the policy set that rest on consent.
Its document is what the citizen is shown, and its hash is what he agreed to. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.contract import Field
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.vocabulary import ConsentRule, Sensitivity

Key = tuple[AgencyId, str]
"""Recipient and purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAgreement:
    """What one recipient may be allowed for one purpose. `sensitive` are those of its fields."""

    recipient: AgencyId
    purpose: str
    fields: frozenset[str]
    sensitive: frozenset[str]
    document: Mapping[str, Any]
    hash: str

    @property
    def id(self) -> str:
        """`<recipient>.<purpose>`."""
        return f"{self.recipient}.{self.purpose}"


def derive_data_agreements(policy: PolicySet) -> Mapping[Key, DataAgreement]:
    """The data agreements of a policy set; the same set gives the same hashes."""
    grounds: dict[Key, list[Agreement]] = {}
    for agreement in policy.agreements:
        if agreement.consent is ConsentRule.REQUIRED:
            grounds.setdefault((agreement.recipient, agreement.purpose), []).append(agreement)
    return {key: _derive(policy, key, agreements) for key, agreements in grounds.items()}


def _derive(policy: PolicySet, key: Key, agreements: list[Agreement]) -> DataAgreement:
    recipient, purpose = key
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
        fields=frozenset(fields),
        sensitive=frozenset(n for n, f in fields.items() if f.sensitivity is Sensitivity.SENSITIVE),
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
