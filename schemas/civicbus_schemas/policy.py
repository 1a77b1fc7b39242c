"""The policy set: agreements, rules, vocabularies and contracts as one object with one hash.

The set travels as RFC 8785 JSON in one message on `state.policy.v1`; the SHA-256 of those bytes
is the policy version that every record carries. A set is accepted whole or refused whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.agreement_document import parse_agreement
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.contract import Contract, parse_contract
from civicbus_schemas.errors import InvalidAgreement, InvalidContract, InvalidIdentifier
from civicbus_schemas.ids import AgencyId, AgreementRef, EventType, PolicyVersion
from civicbus_schemas.retention import Retention, parse_retention
from civicbus_schemas.soundness import check_policy_set
from civicbus_schemas.statement import Statement, parse_statement, standing_of
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

__all__ = ["Agency", "Basis", "PolicySet", "Purpose", "parse_policy_set", "terms_of"]

T = TypeVar("T")

_KEYS = {
    "nation", "agencies", "purposes", "bases", "agreements", "statements", "rules", "contracts",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """All that decides who may see what.

    `rules` holds national rules in Cedar by file name; whoever compiles the set reads them. Whether
    `statements` are genuine is for `announcement` to check. Without `retention` the ledger is kept
    for ever.
    """

    version: PolicyVersion
    nation: str
    agencies: Mapping[AgencyId, Agency]
    purposes: Mapping[str, Purpose]
    bases: Mapping[str, Basis]
    agreements: tuple[Agreement, ...]
    statements: tuple[Statement, ...]
    rules: Mapping[str, str]
    contracts: Mapping[EventType, Contract]
    retention: Retention | None = None

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
    optional = {"retention"} & {*document} if isinstance(document, dict) else set[str]()
    exactly(document, _KEYS | optional, where="the policy set")
    statements = tuple(map(parse_statement, _list(document, "statements")))
    policy = PolicySet(
        version=PolicyVersion(hashlib.sha256(data).hexdigest()),
        nation=text(document["nation"], where="nation"),
        agencies=_each(document, "agencies", parse_agency),
        purposes=_each(document, "purposes", parse_purpose),
        bases=_each(document, "bases", parse_basis),
        agreements=tuple(_agreement(b, statements) for b in _list(document, "agreements")),
        statements=statements,
        rules=_each(document, "rules", lambda name, body: text(body, where=f"rules {name!a}")),
        contracts=_each(document, "contracts", _contract),
        retention=parse_retention(document["retention"]) if optional else None,
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


def _list(document: Mapping[str, Any], key: str) -> list[Any]:
    return entries(document[key], where=key)


def _agreement(body: Any, statements: Iterable[Statement]) -> Agreement:
    name = body.get("agreement") if isinstance(body, dict) else None
    agreement = parse_agreement(body, source=str(name))
    terms = terms_of(body)
    standing = standing_of(
        agreement.ref, terms=terms, parties=agreement.approved_by, statements=statements
    )
    return replace(agreement, terms=terms, standing=standing)


def terms_of(body: Mapping[str, Any]) -> str:
    """What the parties of an agreement sign: SHA-256 of its document's one spelling, hex."""
    return hashlib.sha256(canonical_json(body)).hexdigest()
