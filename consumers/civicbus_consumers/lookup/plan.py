"""The agreements on the view, compiled from a policy set for one look per request. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.contract import Contract
from civicbus_schemas.ids import AgencyId, AgreementRef, EventType, PolicyVersion
from civicbus_schemas.policy import PolicySet

from civicbus_consumers.access.permits import READ, VERIFY
from civicbus_consumers.access.plan import per_second_of, subjects_per_day_of
from civicbus_consumers.access.rules import Authority, Bans
from civicbus_consumers.lookup.request import Mode

VIEW = EventType("population.Person")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPlan:
    """The agreements on the view, compiled for one look per request."""

    policy: PolicyVersion
    contract: Contract | None
    agreements: Mapping[tuple[AgencyId, str], tuple[Agreement, ...]]
    bans: Mapping[tuple[AgreementRef, Mode], Mapping[str, Bans]]
    recipients: frozenset[AgencyId]
    per_second: Mapping[AgreementRef, int]
    subjects_per_day: Mapping[AgreementRef, int]

    def known_fields(self, paths: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the paths that are fields of the view."""
        return tuple(p for p in paths if self.contract is not None and p in self.contract.fields)


def compile_reads(policy: PolicySet, *, authority: Authority | None = None) -> ReadPlan:
    """The plan of a policy set: per recipient and purpose its agreements, newest version first.

    Raises `InvalidAgreement` where a national rule forbids what an agreement names.
    """
    authority = authority or Authority(policy)
    named: dict[tuple[AgencyId, str], list[Agreement]] = {}
    for agreement in sorted(policy.agreements, key=lambda a: (a.ref.id, -a.ref.version)):
        if VIEW in agreement.reads:
            named.setdefault((agreement.recipient, agreement.purpose), []).append(agreement)
    return ReadPlan(
        policy=policy.version,
        contract=policy.contracts.get(VIEW),
        agreements=MappingProxyType({key: tuple(found) for key, found in named.items()}),
        bans=MappingProxyType(dict(_bans(policy, authority))),
        recipients=frozenset(recipient for recipient, _ in named),
        per_second=per_second_of(policy.agreements),
        subjects_per_day=subjects_per_day_of(policy.agreements),
    )


def _bans(
    policy: PolicySet, authority: Authority
) -> Iterator[tuple[tuple[AgreementRef, Mode], Mapping[str, Bans]]]:
    for agreement in policy.agreements:
        reads = agreement.reads.get(VIEW)
        if reads is not None:
            for mode, paths in ((Mode.READ, reads.read), (Mode.VERIFY, reads.verify)):
                action = READ if mode is Mode.READ else VERIFY
                bans = authority.bans(agreement, action, dataset=VIEW, paths=sorted(paths))
                yield (agreement.ref, mode), bans
