"""National rules on every release: what they forbid under each agreement, and who may sign.

Agreements become `permit` policies, national rules are `forbid` policies, and Cedar (`cedar`) has
the last word over both: a rule wins over every agreement. It is asked once for each field of each
agreement when a policy set is loaded, and its answers are kept in the plan; what the plan says is
therefore what Cedar said. Of what rules read only the age of the key's subject is open then: so
both answers are kept. Of who signs a consent rules read the eID level: each level is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import cedarpy
from civicbus_schemas.agreement import Agreement
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.ids import AgreementRef, EventType
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.statement import Standing
from civicbus_schemas.vocabulary import Access

from civicbus_consumers.access.cedar import EID_LEVELS, Answer, Asked, Cedar
from civicbus_consumers.access.permits import CONSENT, grants_of, whole_day

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


class Authority:
    """Cedar over one policy set. Raises `InvalidAgreement` for rules that it does not take.

    What it has said of a ban it keeps: Cedar is slow, and a set is asked about again and again.
    """

    def __init__(self, policy: PolicySet) -> None:
        self._policy = policy
        self._said: dict[tuple[AgreementRef, str, EventType, frozenset[str]], Mapping[str, Bans]]
        self._said = {}
        self._cedar = Cedar(policy)

    @property
    def grounds(self) -> Mapping[str, str]:
        """The ground in law of each rule, by its id."""
        return self._cedar.grounds

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
        answers = iter(self._cedar.ask(both, self._cedar.rules_and([agreement])))
        found = {}
        for path in paths:
            grown, minor = _ban(next(answers)), _ban(next(answers))
            if grown is not None and minor is not None:
                raise InvalidAgreement(
                    f"{agreement.ref}: rule {grown} forbids {path} for {agreement.purpose}",
                    got=f"{action} of {dataset}",
                    expected=self._cedar.grounds[grown],
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
        answers = self._cedar.ask(asked, self._cedar.rules_and([agreement]))
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
        return self._cedar.ask(questions, self._whole)

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
        return self._cedar.rules_and(binding)


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


def _ban(answer: Answer) -> str | None:
    if answer.allowed:
        return None
    if not answer.rules:
        raise InvalidAgreement("an agreement does not permit what it names", got="no rule forbids")
    return answer.rules[0]
