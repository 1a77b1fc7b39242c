"""National rules in Cedar, and the one engine that has the last word on every release.

Agreements become `permit` policies, national rules are `forbid` policies, and Cedar decides over
both: a rule wins over every agreement. Its answers are asked once for each field of each agreement
when a policy set is loaded, and kept in the plan; what the plan says is therefore what Cedar said.

What Cedar is told: who receives, by which action, which field, for which purpose, on which basis,
under which agreement, on which day, whether a life is said to depend on it, and three findings of
ours: whether the agreement's conditions hold, whether a consent covers the release, and whether the
key's subject is a minor. Rules may not read agreement, day, emergency, conditions and consent, so
that of what they read only that person's age is open when a set is loaded: both answers are kept.
Of who signs a consent it is told the eID level; who may sign is asked for each level.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import cedarpy
from civicbus_schemas.agreement import Agreement
from civicbus_schemas.contract import Contract, Field
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.ids import AgencyId, AgreementRef, EventType
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.statement import Standing
from civicbus_schemas.vocabulary import Access

from civicbus_consumers.access.permits import CONSENT, grants_of, permits, whole_day
from civicbus_consumers.access.rule_files import SCHEMA, check_rules

EID_LEVELS = (0, 1, 2)
_STOPPED = {Standing.SUSPENDED, Standing.REVOKED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bans:
    """The rule that forbids a release about a grown person, and about a minor; None permits it."""

    grown: str | None = None
    minor: str | None = None

    def about(self, *, minor: bool | None) -> str | None:
        """The rule that forbids it; where the age is unknown, either rule does."""
        if minor is None:
            return self.minor or self.grown
        return self.minor if minor else self.grown

    @property
    def depends_on_age(self) -> bool:
        """Whether it must be known if the person is a minor."""
        return self.minor != self.grown


FREE = Bans()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """The least eID level at which rules let a consent be signed; None lets nobody sign."""

    grown: int | None
    minor: int | None


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


class Authority:
    """Cedar over one policy set. Raises `InvalidAgreement` for rules that it does not take.

    What it has said of a ban it keeps: Cedar is slow, and a set is asked about again and again.
    """

    def __init__(self, policy: PolicySet) -> None:
        self._policy = policy
        self._said: dict[tuple[AgreementRef, str, EventType, frozenset[str]], Mapping[str, Bans]]
        self._said = {}
        self._schema = cedarpy.Schema.from_str(SCHEMA)
        self._ids = dict(check_rules(policy.rules))
        self._forbids = cedarpy.PolicySet.from_str("\n".join(policy.rules.values()))
        entities = json.dumps(list(_entities(policy)))
        self._entities = cedarpy.Entities.from_json_str(entities, self._schema)

    @property
    def grounds(self) -> Mapping[str, str]:
        """The ground in law of each rule, by its id."""
        return MappingProxyType(self._ids)

    def bans(
        self, agreement: Agreement, action: str, *, dataset: EventType, paths: Sequence[str]
    ) -> Mapping[str, Bans]:
        """Per field what forbids it under this agreement, which is one of the set.

        Raises `InvalidAgreement` where a rule forbids a field about everybody: such an agreement
        promises what it cannot keep.
        """
        asked = agreement.ref, action, dataset, frozenset(paths)
        if asked not in self._said:
            found = self._find_bans(agreement, action, dataset=dataset, paths=paths)
            self._said[asked] = MappingProxyType(found)
        return self._said[asked]

    def _find_bans(
        self, agreement: Agreement, action: str, *, dataset: EventType, paths: Sequence[str]
    ) -> dict[str, Bans]:
        both = [
            _asked(agreement, action, dataset=dataset, path=path, minor=minor)
            for path in paths
            for minor in (False, True)
        ]
        answers = iter(self._ask(both, self._forbids.with_added_str(permits(agreement))))
        found = {}
        for path in paths:
            grown, minor = _ban(next(answers)), _ban(next(answers))
            if grown is not None and minor is not None:
                raise InvalidAgreement(
                    f"{agreement.ref}: rule {grown} forbids {path} for {agreement.purpose}",
                    got=f"{action} of {dataset}",
                    expected=self._ids[grown],
                    next_step="leave the field out, or change the rule as law is changed",
                )
            found[path] = Bans(grown=grown, minor=minor)
        return found

    def signings(self, agreement: Agreement) -> Mapping[str, Signing]:
        """Per field, as `dataset:path`, who may consent to it: for himself, and for a minor."""
        names = {(data, path) for _, data, paths in grants_of(agreement) for path in paths}
        asked = [
            _asked(agreement, CONSENT, dataset=data, path=path, minor=minor, eid_level=level)
            for data, path in sorted(names)
            for minor in (False, True)
            for level in EID_LEVELS
        ]
        found: dict[tuple[str, bool], int] = {}
        answers = self._ask(asked, self._forbids.with_added_str(permits(agreement)))
        for question, answer in zip(asked, answers, strict=True):
            if answer.allowed:
                found.setdefault(
                    (f"{question.dataset}:{question.path}", question.minor), question.eid_level
                )
        return {
            field: Signing(grown=found.get((field, False)), minor=found.get((field, True)))
            for field in (f"{data}:{path}" for data, path in names)
        }

    def ask(self, questions: Sequence[Asked]) -> list[Answer]:
        """Cedar's answers over the whole set, slowly: all agreements and all rules at once."""
        return self._ask(questions, self._whole)

    def check_whole(self) -> None:
        """Ask again, over the whole set, all that a plan keeps; raises `InvalidAgreement`.

        `bans` asks each agreement beside the rules alone, which keeps loading linear; that no other
        agreement changes an answer is checked here before a set is announced.
        """
        for agreement in self._policy.agreements:
            for action, dataset, paths in grants_of(agreement):
                bans = self.bans(agreement, action, dataset=dataset, paths=list(paths))
                self._compare(agreement, action, dataset=dataset, bans=bans)

    def _compare(
        self, agreement: Agreement, action: str, *, dataset: EventType, bans: Mapping[str, Bans]
    ) -> None:
        kept = [
            (_asked(agreement, action, dataset=dataset, path=path, minor=minor),
             ban.about(minor=minor))
            for path, ban in bans.items()
            for minor in (False, True)
        ]  # fmt: skip
        for (asked, rule), answer in zip(kept, self.ask([a for a, _ in kept]), strict=True):
            allowed = rule is None and agreement.standing not in _STOPPED
            if answer.allowed is not allowed or (rule is not None and rule not in answer.rules):
                raise InvalidAgreement(
                    f"{agreement.ref}: plan and Cedar differ on {asked.path}",
                    got=f"{answer}",
                    expected="allowed" if allowed else f"forbidden by {rule or 'its standing'}",
                    next_step="report this set: it must not be announced",
                )

    @cached_property
    def _whole(self) -> cedarpy.PolicySet:
        binding = [a for a in self._policy.agreements if a.standing not in _STOPPED]
        return self._forbids.with_added_str("\n".join(map(permits, binding)))

    def _ask(self, questions: Sequence[Asked], policies: cedarpy.PolicySet) -> list[Answer]:
        requests = [_request(question) for question in questions]
        results = cedarpy.is_authorized_batch(requests, policies, self._entities)
        return [self._answer(result) for result in results]

    def _answer(self, result: cedarpy.AuthzResult) -> Answer:
        """An error skips the policy it is in, a `forbid` too: so there must be none."""
        said = result.diagnostics
        if said.errors or result.decision is cedarpy.Decision.NoDecision:
            raise InvalidAgreement("Cedar cannot decide", got="; ".join(said.errors)[:300])
        named = {said.id_annotations_by_reason[reason] for reason in said.reasons}
        return Answer(allowed=result.allowed, rules=tuple(sorted(named & self._ids.keys())))


def _asked(
    agreement: Agreement, action: str, *, dataset: EventType, path: str, **findings: Any
) -> Asked:
    return Asked(
        recipient=agreement.recipient,
        action=action,
        dataset=dataset,
        path=path,
        purpose=agreement.purpose,
        basis=agreement.basis,
        agreement=str(agreement.ref),
        day=whole_day(agreement.valid_from),
        break_glass=agreement.access is Access.BREAK_GLASS,
        **findings,
    )


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


def _ban(answer: Answer) -> str | None:
    if answer.allowed:
        return None
    if not answer.rules:
        raise InvalidAgreement("an agreement does not permit what it names", got="no rule forbids")
    return answer.rules[0]


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
