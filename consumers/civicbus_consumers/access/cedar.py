"""The one engine that decides over rules and agreements: what Cedar is told, asked, and answers.

It is told who receives, by which action, which field, for which purpose, on which basis, under
which agreement, on which day, whether a life is said to depend on it, and three findings of ours:
whether the agreement's conditions hold, whether a consent covers the release, and whether the key's
subject is a minor; of who signs a consent, the eID level. Rules may not read agreement, day,
emergency, conditions and consent (`rule_files`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cedarpy
from civicbus_schemas.agreement import Agreement
from civicbus_schemas.contract import Contract, Field
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.ids import AgencyId, EventType
from civicbus_schemas.policy import PolicySet

from civicbus_consumers.access.permits import CONSENT, permits
from civicbus_consumers.access.rule_files import SCHEMA, check_rules

EID_LEVELS = (0, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question to Cedar. `day` is written 20261231."""

    recipient: AgencyId
    action: str
    dataset: EventType
    path: str
    purpose: str
    basis: str
    agreement: str
    day: int
    conditions: bool = True
    consent: bool = True
    minor: bool = False
    break_glass: bool = False
    eid_level: int = EID_LEVELS[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Cedar says: whether it is allowed, and which rules forbid it."""

    allowed: bool
    rules: tuple[str, ...]


class Cedar:
    """Cedar with the rules of one policy set and all that they may read.

    Raises `InvalidAgreement` for rules that it does not take.
    """

    def __init__(self, policy: PolicySet) -> None:
        schema = cedarpy.Schema.from_str(SCHEMA)
        self.grounds: Mapping[str, str] = MappingProxyType(dict(check_rules(policy.rules)))
        """The ground in law of each rule, by its id."""
        self._rules = cedarpy.PolicySet.from_str("\n".join(policy.rules.values()))
        entities = json.dumps(list(_entities(policy)))
        self._entities = cedarpy.Entities.from_json_str(entities, schema)

    def rules_and(self, agreements: Iterable[Agreement]) -> cedarpy.PolicySet:
        """All rules, and what these agreements permit."""
        return self._rules.with_added_str("\n".join(map(permits, agreements)))

    def ask(self, questions: Sequence[Asked], policies: cedarpy.PolicySet) -> list[Answer]:
        """Its answers over these policies; raises `InvalidAgreement` where it cannot decide."""
        requests = [_request(question) for question in questions]
        results = cedarpy.is_authorized_batch(requests, policies, self._entities)
        return [self._answer(result) for result in results]

    def _answer(self, result: cedarpy.AuthzResult) -> Answer:
        """An error skips the policy it is in, a `forbid` too: so there must be none."""
        said = result.diagnostics
        if said.errors or result.decision is cedarpy.Decision.NoDecision:
            raise InvalidAgreement("Cedar cannot decide", got="; ".join(said.errors)[:300])
        named = {said.id_annotations_by_reason[reason] for reason in said.reasons}
        return Answer(allowed=result.allowed, rules=tuple(sorted(named & self.grounds.keys())))


def _request(asked: Asked) -> dict[str, Any]:
    return {
        "principal": _uid("Agency", asked.recipient),
        "action": _uid("Action", asked.action),
        "resource": _uid("Field", f"{asked.dataset}:{asked.path}"),
        "context": {
            "purpose": {"__entity": _uid("Purpose", asked.purpose)},
            "basis": {"__entity": _uid("Basis", asked.basis)},
            "agreement": asked.agreement,
            "day": asked.day,
            "conditions": asked.conditions,
            "consent": asked.consent,
            "break_glass": asked.break_glass,
            "minor": asked.minor,
            **({"eid_level": asked.eid_level} if asked.action == CONSENT else {}),
        },
    }


def _entities(policy: PolicySet) -> Iterator[dict[str, Any]]:
    for agency in policy.agencies.values():
        yield _entity("Agency", agency.id, {"kind": agency.kind})
    groups = {group for purpose in policy.purposes.values() for group in purpose.groups}
    for group in sorted(groups):
        yield _entity("Purpose", group, {})
    for purpose in policy.purposes.values():
        yield _entity("Purpose", purpose.id, {}, parents=purpose.groups)
    for basis in policy.bases.values():
        flags = {"needs_consent": basis.needs_consent, "sensitive": basis.sensitive}
        yield _entity("Basis", basis.id, flags)
    for contract in policy.contracts.values():
        for leaf in contract.fields.values():
            yield _entity("Field", f"{contract.event_type}:{leaf.path}", _labels(contract, leaf))


def _labels(contract: Contract, leaf: Field) -> dict[str, Any]:
    return {
        "dataset": contract.event_type,
        "path": leaf.path,
        "owner": {"__entity": _uid("Agency", leaf.owner)},
        "sensitivity": leaf.sensitivity.value,
        "category": leaf.category or "",
        "of_key_subject": leaf.subject == contract.key_subject.name,
    }


def _entity(
    type_: str, id_: str, attributes: Mapping[str, Any], *, parents: Iterable[str] = ()
) -> dict[str, Any]:
    return {
        "uid": _uid(type_, id_),
        "attrs": dict(attributes),
        "parents": [_uid(type_, parent) for parent in parents],
    }


def _uid(type_: str, id_: str) -> dict[str, str]:
    return {"type": type_, "id": id_}
