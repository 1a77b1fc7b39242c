"""The policy set: agreements, vocabularies and contracts as one object with one hash.

The set travels as RFC 8785 JSON in one message on `state.policy.v1`; the SHA-256 of those bytes
is the policy version that every record carries. A set is accepted whole or refused whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from civicbus_schemas import ids
from civicbus_schemas.agreement import Agreement, parse_agreement
from civicbus_schemas.contract import Contract, parse_contract
from civicbus_schemas.delivered import derive_delivered
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.ids import AgencyId, AgreementRef, EventType, PolicyVersion
from civicbus_schemas.topics import SourceTopic
from civicbus_schemas.vocabulary import ConsentRule

_KEYS = {"nation", "agencies", "purposes", "bases", "agreements", "contracts"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """A principal of the bus, the families it publishes, and its names."""

    id: AgencyId
    publishes: tuple[str, ...]
    vi: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What data may be used for."""

    id: str
    vi: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """A legal ground, its article, and whether it is the citizen's consent."""

    id: str
    article: str
    needs_consent: bool
    vi: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """All that decides who may see what."""

    version: PolicyVersion
    nation: str
    agencies: Mapping[AgencyId, Agency]
    purposes: Mapping[str, Purpose]
    bases: Mapping[str, Basis]
    agreements: tuple[Agreement, ...]
    contracts: Mapping[EventType, Contract]

    def source_topics(self) -> tuple[SourceTopic, ...]:
        """Every topic that some agency publishes on."""
        return tuple(
            SourceTopic(agency.id, family)
            for agency in self.agencies.values()
            for family in agency.publishes
        )

    def get_agreement(self, ref: AgreementRef) -> Agreement:
        """The agreement of that version; raises `InvalidAgreement` when it is not in the set."""
        for agreement in self.agreements:
            if agreement.ref == ref:
                return agreement
        raise InvalidAgreement(f"{ref} is not in the policy set", expected=self.version)


def parse_policy_set(data: bytes) -> PolicySet:
    """The policy set in these bytes; raises `InvalidAgreement` or `InvalidContract`."""
    try:
        document: Mapping[str, Any] = json.loads(data)
    except ValueError:
        raise InvalidAgreement("the policy set is not JSON") from None
    if set(document) != _KEYS:
        raise InvalidAgreement("policy set", got=sorted(document), expected=sorted(_KEYS))
    contracts = {
        contract.event_type: contract
        for contract in map(parse_contract, document["contracts"].values())
    }
    policy = PolicySet(
        version=PolicyVersion(hashlib.sha256(data).hexdigest()),
        nation=document["nation"],
        agencies=_by_id(
            Agency(id=ids.agency_id(key), publishes=tuple(a["publishes"]), vi=a["vi"], en=a["en"])
            for key, a in document["agencies"].items()
        ),
        purposes=_by_id(
            Purpose(id=ids.dotted_id(key, what="purpose"), vi=p["vi"], en=p["en"])
            for key, p in document["purposes"].items()
        ),
        bases=_by_id(
            Basis(
                id=ids.dotted_id(key, what="legal basis"),
                article=b["article"],
                needs_consent=b["needs_consent"],
                vi=b["vi"],
                en=b["en"],
            )
            for key, b in document["bases"].items()
        ),
        agreements=tuple(
            parse_agreement(a, source=str(a.get("agreement"))) for a in document["agreements"]
        ),
        contracts=MappingProxyType(contracts),
    )
    check_policy_set(policy)
    return policy


def _by_id(items: Iterable[Any]) -> Mapping[Any, Any]:
    return MappingProxyType({item.id: item for item in items})


def check_policy_set(policy: PolicySet) -> None:
    """Refuse a set in which anything named does not exist, or breaks a rule of the house."""
    for contract in policy.contracts.values():
        _check_owners(policy, contract)
    seen: set[AgreementRef] = set()
    for agreement in policy.agreements:
        if agreement.ref in seen:
            raise InvalidAgreement(f"{agreement.ref} stands twice in the policy set")
        seen.add(agreement.ref)
        _check_names(policy, agreement)
        for event_type, release in agreement.releases.items():
            contract = _get_contract(policy, agreement, event_type, is_view=False)
            derive_delivered(contract, release, agreement=agreement.ref)
            _check_conditions(agreement, contract)
            _check_consent_subject(agreement, contract, release.paths)
        for view, reads in agreement.reads.items():
            contract = _get_contract(policy, agreement, view, is_view=True)
            paths = tuple(reads.read | reads.verify)
            _check_paths(agreement, contract, paths)
            _check_consent_subject(agreement, contract, paths)


def _check_owners(policy: PolicySet, contract: Contract) -> None:
    for leaf in contract.fields.values():
        if leaf.owner not in policy.agencies:
            raise InvalidAgreement(
                f"{contract.event_type}: the owner of {leaf.path} is no agency", got=leaf.owner
            )


def _check_names(policy: PolicySet, agreement: Agreement) -> None:
    approvers = {agency for agency, _ in agreement.approved_by}
    for agency in {agreement.provider, agreement.recipient} | approvers:
        if agency not in policy.agencies:
            raise InvalidAgreement(f"{agreement.ref}: unknown agency", got=agency)
    if agreement.purpose not in policy.purposes:
        raise InvalidAgreement(
            f"{agreement.ref}: unknown purpose",
            got=agreement.purpose,
            next_step="add it to purposes.yaml, reviewed like law",
        )
    basis = policy.bases.get(agreement.basis)
    if basis is None:
        raise InvalidAgreement(f"{agreement.ref}: unknown legal basis", got=agreement.basis)
    if basis.needs_consent != (agreement.consent is ConsentRule.REQUIRED):
        raise InvalidAgreement(
            f"{agreement.ref}: basis and consent disagree",
            got=f"basis {basis.id} with consent {agreement.consent}",
        )


def _get_contract(
    policy: PolicySet, agreement: Agreement, event_type: EventType, *, is_view: bool
) -> Contract:
    contract = policy.contracts.get(event_type)
    if contract is None or contract.is_view is not is_view:
        raise InvalidAgreement(
            f"{agreement.ref}: {event_type} is no {'view' if is_view else 'event type'}",
            expected="a contract of the nation",
        )
    provider = policy.agencies[agreement.provider]
    if not is_view and contract.family not in provider.publishes:
        raise InvalidAgreement(
            f"{agreement.ref}: {provider.id} does not publish {contract.family}",
            expected=list(provider.publishes),
        )
    return contract


def _check_conditions(agreement: Agreement, contract: Contract) -> None:
    for condition in agreement.releases[contract.event_type].only_if:
        leaf = contract.fields.get(condition.path)
        if leaf is None or leaf.type != {"type": "int", "logicalType": "date"}:
            raise InvalidAgreement(
                f"{agreement.ref}: age-under-years on {condition.path}",
                expected="a date field of the contract",
            )


def _check_paths(agreement: Agreement, contract: Contract, paths: Iterable[str]) -> None:
    unknown = sorted(set(paths) - set(contract.fields))
    if unknown:
        raise InvalidAgreement(
            f"{agreement.ref}: {contract.event_type} has no such fields", got=unknown
        )


def _check_consent_subject(agreement: Agreement, contract: Contract, paths: Iterable[str]) -> None:
    """Consent is the key subject's own: it releases nobody else's fields (DESIGN: contract)."""
    if agreement.consent is ConsentRule.NOT_REQUIRED:
        return
    key = contract.key_subject.name
    others = sorted(path for path in paths if contract.fields[path].subject != key)
    if others:
        raise InvalidAgreement(
            f"{agreement.ref}: consent of {key} cannot release what is about others",
            got=others,
            next_step="publish one event per person, or use a basis that needs no consent",
        )
