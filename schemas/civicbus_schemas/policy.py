"""The policy set: agreements, rules, vocabularies and contracts as one object with one hash.

The set travels as RFC 8785 JSON in one message on `state.policy.v1`; the SHA-256 of those bytes
is the policy version that every record carries. A set is accepted whole or refused whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any, TypeVar

from civicbus_schemas.agreement import Agreement, parse_agreement
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.contract import Contract, parse_contract
from civicbus_schemas.delivered import delivered_words, derive_delivered
from civicbus_schemas.errors import InvalidAgreement, InvalidContract, InvalidIdentifier
from civicbus_schemas.ids import AgencyId, AgreementRef, EventType, PolicyVersion
from civicbus_schemas.terms import (
    Agency,
    Basis,
    Purpose,
    entries,
    exactly,
    parse_agency,
    parse_basis,
    parse_purpose,
    text,
)
from civicbus_schemas.topics import SourceTopic
from civicbus_schemas.vocabulary import ConsentRule

__all__ = ["Agency", "Basis", "PolicySet", "Purpose", "check_policy_set", "parse_policy_set"]

T = TypeVar("T")

_KEYS = {"nation", "agencies", "purposes", "bases", "agreements", "rules", "contracts"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """All that decides who may see what.

    `rules` holds national rules in Cedar by file name; whoever compiles the set reads them.
    """

    version: PolicyVersion
    nation: str
    agencies: Mapping[AgencyId, Agency]
    purposes: Mapping[str, Purpose]
    bases: Mapping[str, Basis]
    agreements: tuple[Agreement, ...]
    rules: Mapping[str, str]
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
        document: Any = json.loads(data)
        one_spelling = canonical_json(document) == data
    except (ValueError, RecursionError):
        raise InvalidAgreement("the policy set is not JSON") from None
    if not one_spelling:
        raise InvalidAgreement(
            "the policy set is not in its one spelling", expected="RFC 8785, no key twice"
        )
    exactly(document, _KEYS, where="the policy set")
    policy = PolicySet(
        version=PolicyVersion(hashlib.sha256(data).hexdigest()),
        nation=text(document["nation"], where="nation"),
        agencies=_each(document, "agencies", parse_agency),
        purposes=_each(document, "purposes", parse_purpose),
        bases=_each(document, "bases", parse_basis),
        agreements=tuple(map(_agreement, entries(document["agreements"], where="agreements"))),
        rules=_each(document, "rules", lambda name, body: text(body, where=f"rules {name!a}")),
        contracts=_each(document, "contracts", _contract),
    )
    check_policy_set(policy)
    return policy


def _each(document: Mapping[str, Any], key: str, parse: Callable[[str, Any], T]) -> Mapping[Any, T]:
    bodies = document[key]
    if not isinstance(bodies, dict):
        raise InvalidAgreement(key, got=type(bodies).__name__, expected="an object")
    try:
        return MappingProxyType({name: parse(name, body) for name, body in bodies.items()})
    except InvalidIdentifier as error:
        raise InvalidAgreement(f"{key}: {error.what}", expected=error.expected) from None


def _contract(name: str, body: Any) -> Contract:
    if not isinstance(body, dict):
        raise InvalidContract(f"contract {name!a}", got=type(body).__name__, expected="an object")
    contract = parse_contract(body)
    if contract.event_type != name:
        raise InvalidContract(f"contract {name!a} holds {contract.event_type}")
    return contract


def _agreement(body: Any) -> Agreement:
    name = body.get("agreement") if isinstance(body, dict) else None
    return parse_agreement(body, source=str(name))


def check_policy_set(policy: PolicySet) -> None:
    """Refuse a set in which anything named does not exist, or breaks a rule of the house."""
    for contract in policy.contracts.values():
        _check_owners(policy, contract)
    _check_succession(policy.agreements)
    seen: set[str] = set()
    for agreement in policy.agreements:
        words = delivered_words(agreement.ref)
        if words in seen:
            raise InvalidAgreement(
                f"{agreement.ref} stands twice in the policy set, or differs from another in"
                " nothing but '-' and '.'"
            )
        seen.add(words)
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


def _check_succession(agreements: Iterable[Agreement]) -> None:
    """Two versions of an agreement never bind on the same day, or all would be delivered twice."""
    by_start = sorted(agreements, key=lambda a: (a.ref.id, a.valid_from, a.ref.version))
    for earlier, later in pairwise(by_start):
        if earlier.ref.id == later.ref.id and later.valid_from <= earlier.valid_until:
            raise InvalidAgreement(
                f"{earlier.ref} and {later.ref} are in force on the same days",
                next_step="end the older version on the day before the newer begins",
            )


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
    if basis.id not in policy.purposes[agreement.purpose].bases:
        raise InvalidAgreement(
            f"{agreement.ref}: purpose {agreement.purpose} may not rest on {basis.id}",
            expected=list(policy.purposes[agreement.purpose].bases),
        )
    if policy.agencies[agreement.recipient].kind not in basis.recipient_kinds:
        raise InvalidAgreement(
            f"{agreement.ref}: {agreement.recipient} may not receive on {basis.id}",
            expected=list(basis.recipient_kinds),
        )
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
    recipient = policy.agencies[agreement.recipient]
    if not is_view and contract.family not in recipient.receives:
        raise InvalidAgreement(
            f"{agreement.ref}: {recipient.id} does not receive {contract.family}",
            expected=list(recipient.receives),
        )
    provider = policy.agencies[agreement.provider]
    if not is_view and contract.family not in provider.publishes:
        raise InvalidAgreement(
            f"{agreement.ref}: {provider.id} does not publish {contract.family}",
            expected=list(provider.publishes),
        )
    if is_view and contract.family not in provider.keeps:
        raise InvalidAgreement(
            f"{agreement.ref}: {provider.id} does not keep {contract.family}",
            expected=list(provider.keeps),
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
