"""The plan: a policy set compiled for one look per event. Immutable; swapped as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from civicbus_schemas.agreement import Agreement, Release
from civicbus_schemas.contract import Contract
from civicbus_schemas.ids import AgencyId, AgreementRef, EventType, PolicyVersion
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.topics import delivery_topic

from civicbus_consumers.access.permits import RELEASE
from civicbus_consumers.access.project import Cut, compile_cut
from civicbus_consumers.access.rules import Authority, Bans

BIRTH_DATE = "pd:BirthDate"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRelease:
    """One agreement's release of one event type, ready to be decided and cut.

    `bans` is what the national rules say of it. `people` lists, per subject whose data it concerns,
    which of the released fields are about them; the key's subject always stands first, with no
    fields where none is about it. `needed` is what a consent must name.
    """

    agreement: Agreement
    release: Release
    cut: Cut
    topic: str
    bans: Bans
    people: tuple[tuple[str, tuple[str, ...]], ...]
    needed: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedType:
    """One event type of one provider: its contract, releases, and the paths decisions read.

    `born` is the path of the key subject's date of birth, None where the event does not tell it.
    """

    contract: Contract
    born: str | None
    releases: tuple[PlannedRelease, ...]
    decision_paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is released of every event type of every provider, under one policy version.

    `per_second` and `subjects_per_day` hold the limits of those agreements that have one.
    """

    policy: PolicyVersion
    types: Mapping[tuple[AgencyId, EventType], PlannedType]
    per_second: Mapping[AgreementRef, int]
    subjects_per_day: Mapping[AgreementRef, int]

    def find(self, provider: AgencyId, event_type: EventType) -> PlannedType | None:
        """The planned type, or None where this provider has no such event type."""
        return self.types.get((provider, event_type))


def compile_plan(
    policy: PolicySet,
    *,
    pairwise_key_of: Callable[[AgencyId], bytes],
    authority: Authority | None = None,
) -> Plan:
    """The plan of a policy set; `pairwise_key_of` gives each recipient's key.

    Whoever compiles more than this of a set gives its `authority`, which keeps what it was asked.

    Raises `InvalidAgreement` where a national rule forbids what an agreement names.
    """
    authority = authority or Authority(policy)
    types = {}
    for source in policy.source_topics():
        for contract in policy.contracts.values():
            if contract.family == source.family and not contract.is_view:
                key = source.agency, contract.event_type
                types[key] = _planned_type(
                    [
                        _planned_release(
                            agreement,
                            contract,
                            authority=authority,
                            pairwise_key=pairwise_key_of(agreement.recipient),
                        )
                        for agreement in policy.agreements
                        if agreement.provider == source.agency
                        and contract.event_type in agreement.releases
                    ],
                    contract,
                )
    return Plan(
        policy=policy.version,
        types=MappingProxyType(types),
        per_second=per_second_of(policy.agreements),
        subjects_per_day=subjects_per_day_of(policy.agreements),
    )


def per_second_of(agreements: Iterable[Agreement]) -> Mapping[AgreementRef, int]:
    """The limits per second of those that have one."""
    return _given((agreement.ref, agreement.limits.per_second) for agreement in agreements)


def subjects_per_day_of(agreements: Iterable[Agreement]) -> Mapping[AgreementRef, int]:
    """The limits of people per day of those that have one."""
    return _given((agreement.ref, agreement.limits.subjects_per_day) for agreement in agreements)


def _given(
    limits: Iterable[tuple[AgreementRef, int | None]],
) -> Mapping[AgreementRef, int]:
    return MappingProxyType({ref: limit for ref, limit in limits if limit is not None})


def _planned_type(releases: Sequence[PlannedRelease], contract: Contract) -> PlannedType:
    born = _birth_path(contract)
    paths = {condition.path for planned in releases for condition in planned.release.only_if}
    if born is not None and any(planned.bans.depends_on_age for planned in releases):
        paths.add(born)
    return PlannedType(
        contract=contract,
        born=born,
        releases=tuple(releases),
        decision_paths=tuple(sorted(paths)),
    )


def _birth_path(contract: Contract) -> str | None:
    """Where the key's subject's date of birth stands."""
    key = contract.key_subject.name
    found = [
        leaf.path
        for leaf in contract.fields.values()
        if (leaf.subject, leaf.category) == (key, BIRTH_DATE)
    ]
    return found[0] if found else None


def _planned_release(
    agreement: Agreement, contract: Contract, *, authority: Authority, pairwise_key: bytes
) -> PlannedRelease:
    release = agreement.releases[contract.event_type]
    bans = authority.bans(agreement, RELEASE, dataset=contract.event_type, paths=release.paths)
    return PlannedRelease(
        agreement=agreement,
        release=release,
        cut=compile_cut(contract, release, agreement=agreement.ref, pairwise_key=pairwise_key),
        topic=delivery_topic(agreement.recipient, contract.family),
        bans=Bans(
            grown=_first(ban.grown for ban in bans.values()),
            minor=_first(ban.minor for ban in bans.values()),
        ),
        people=people_of(contract, release.paths),
        needed=frozenset(f"{contract.event_type}:{path}" for path in release.paths),
    )


def _first(rules: Iterable[str | None]) -> str | None:
    return next((rule for rule in rules if rule is not None), None)


def people_of(
    contract: Contract, paths: tuple[str, ...]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Per subject whose data these paths hold, the paths about them; the key's subject first."""
    about = {
        subject.name: tuple(p for p in paths if contract.fields[p].subject == subject.name)
        for subject in contract.subjects
    }
    key = contract.key_subject.name
    return tuple((name, mine) for name, mine in about.items() if mine or name == key)
