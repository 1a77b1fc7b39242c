"""National rules in Cedar, and the one engine that has the last word on every release.

Agreements become `permit` policies, national rules are `forbid` policies, and Cedar decides over
both: a rule wins over every agreement. Its answers are asked once for each field of each agreement
when a policy set is loaded, and kept in the plan; what the plan says is therefore what Cedar said.

What Cedar is told: who receives, by which action, which field, for which purpose, on which basis,
under which agreement, on which day, and three findings of ours: whether the agreement's conditions
hold, whether a consent covers the release, and whether the key's subject is a minor. Rules may not
read agreement, day, conditions and consent, so that of what they read only that person's age is
open when a set is loaded: both answers are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from types import MappingProxyType
from typing import Any

import cedarpy
from civicbus_schemas.agreement import Agreement
from civicbus_schemas.contract import Contract, Field
from civicbus_schemas.errors import InvalidAgreement, InvalidIdentifier
from civicbus_schemas.ids import AgencyId, EventType, word_id
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.vocabulary import ConsentRule

RELEASE, READ, VERIFY = "release", "read", "verify"
MAX_RULES, MAX_RULE_BYTES = 200, 64 * 1024

# What rules may read does not change while a set is in force, but for `minor`; permits read more.
_SCHEMA = """
entity Agency = { kind: String };
entity Purpose in [Purpose];
entity Basis = { needs_consent: Bool, sensitive: Bool };
entity Field = {
  dataset: String,
  path: String,
  owner: Agency,
  sensitivity: String,
  category: String,
  of_key_subject: Bool,
};
action release, read, verify appliesTo {
  principal: Agency,
  resource: Field,
  context: {
    purpose: Purpose,
    basis: Basis,
    minor: Bool,%s
  },
};
"""
SCHEMA_OF_RULES = _SCHEMA % ""
SCHEMA = _SCHEMA % "agreement: String, day: Long, conditions: Bool, consent: Bool,"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Cedar says: whether it is allowed, and which rules forbid it."""

    allowed: bool
    rules: tuple[str, ...]


class Authority:
    """Cedar over one policy set. Raises `InvalidAgreement` for rules that it does not take."""

    def __init__(self, policy: PolicySet) -> None:
        self._policy = policy
        self._schema = cedarpy.Schema.from_str(SCHEMA)
        self._ids = dict(_checked(policy.rules))
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
        """Per field what forbids it under this agreement.

        Raises `InvalidAgreement` where a rule forbids a field about everybody: such an agreement
        promises what it cannot keep.
        """
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

    def ask(self, questions: Sequence[Asked]) -> list[Answer]:
        """Cedar's answers over the whole set, slowly: all agreements and all rules at once."""
        return self._ask(questions, self._whole)

    @cached_property
    def _whole(self) -> cedarpy.PolicySet:
        return self._forbids.with_added_str("\n".join(map(permits, self._policy.agreements)))

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


def permits(agreement: Agreement) -> str:
    """An agreement as Cedar: one `permit` for each dataset and action."""
    return "\n".join(
        _permit(agreement, action, dataset=dataset, paths=paths)
        for action, dataset, paths in _grants(agreement)
        if paths
    )


def whole_day(day: date) -> int:
    """A day as a number that Cedar can compare: 20261231."""
    return day.year * 10_000 + day.month * 100 + day.day


def _grants(agreement: Agreement) -> Iterator[tuple[str, EventType, Iterable[str]]]:
    for event_type, release in agreement.releases.items():
        yield RELEASE, event_type, release.paths
    for view, reads in agreement.reads.items():
        yield READ, view, sorted(reads.read)
        yield VERIFY, view, sorted(reads.verify)


def _permit(agreement: Agreement, action: str, *, dataset: EventType, paths: Iterable[str]) -> str:
    """Ids and paths hold letters, digits and `-_.[]@:` only, so that nothing needs an escape."""
    fields = ", ".join(f'Field::"{dataset}:{path}"' for path in paths)
    conditional = action == RELEASE and agreement.releases[dataset].only_if
    when = [
        f"[{fields}].contains(resource)",
        f'context.agreement == "{agreement.ref}"',
        f'context.purpose == Purpose::"{agreement.purpose}"',
        f'context.basis == Basis::"{agreement.basis}"',
        f"context.day >= {whole_day(agreement.valid_from)}",
        f"context.day <= {whole_day(agreement.valid_until)}",
        *(["context.conditions"] if conditional else []),
        *(["context.consent"] if agreement.consent is ConsentRule.REQUIRED else []),
    ]
    return (
        f'@id("{agreement.ref}")\n'
        f'permit (principal == Agency::"{agreement.recipient}", action == Action::"{action}",'
        f" resource)\nwhen {{ {' && '.join(when)} }};"
    )


def _asked(
    agreement: Agreement, action: str, *, dataset: EventType, path: str, minor: bool
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
        minor=minor,
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
            "minor": asked.minor,
        },
    }


def _ban(answer: Answer) -> str | None:
    if answer.allowed:
        return None
    if not answer.rules:
        raise InvalidAgreement("an agreement does not permit what it names", got="no rule forbids")
    return answer.rules[0]


def _checked(rules: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Every rule's id and its ground in law; raises `InvalidAgreement`, which names the file."""
    seen: set[str] = set()
    for name, text in rules.items():
        where = f"rules/{name}.cedar"
        if len(text.encode()) > MAX_RULE_BYTES:
            raise InvalidAgreement(f"{where}: too large", expected=f"{MAX_RULE_BYTES} bytes")
        for rule, ground in _policies(text, where):
            if rule in seen or len(seen) == MAX_RULES:
                raise InvalidAgreement(
                    f"{where}: rule {rule!a}", expected=f"ids of its own, at most {MAX_RULES}"
                )
            seen.add(rule)
            yield rule, ground


def _policies(text: str, where: str) -> Iterator[tuple[str, str]]:
    try:
        document = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        raise InvalidAgreement(f"{where}: not Cedar", got=str(error)[:200]) from None
    if document["templates"]:
        raise InvalidAgreement(f"{where}: templates", expected="forbid policies")
    for policy in document["staticPolicies"].values():
        notes = policy.get("annotations", {})
        if policy["effect"] != "forbid":
            raise InvalidAgreement(
                f"{where}: a rule that permits",
                got=notes.get("id"),
                expected="forbid; only agreements permit",
            )
        if not (notes.get("id") and notes.get("legalbasis")):
            raise InvalidAgreement(f"{where}: a rule without @id or @legalbasis", got=sorted(notes))
        try:
            rule = word_id(notes["id"], what="rule id")  # it will stand in records
        except InvalidIdentifier as error:
            raise InvalidAgreement(f"{where}: {error.what}", expected=error.expected) from None
        yield rule, notes["legalbasis"]
    validated = cedarpy.validate_policies(text, SCHEMA_OF_RULES)
    if not validated.validation_passed:
        raise InvalidAgreement(
            f"{where}: a rule does not fit the schema", got=str(validated.errors[0].error)[:300]
        )


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
