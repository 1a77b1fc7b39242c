"""Whether a policy set is sound: everything named exists, and no rule of the house is broken.

What the national rules forbid is asked of Cedar, where the set is compiled.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.contract import Contract
from civicbus_schemas.delivered import delivered_words, derive_delivered
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.ids import AgencyId, EventType
from civicbus_schemas.statement import Role
from civicbus_schemas.vocabulary import ConsentRule, Sensitivity, WhenWithheld

if TYPE_CHECKING:
    from civicbus_schemas.policy import PolicySet


def check_policy_set(policy: PolicySet) -> None:
    """Refuse a set in which anything named does not exist, or breaks a rule of the house."""
    for contract in policy.contracts.values():
        _check_owners(policy, contract)
    _check_succession(policy.agreements)
    _check_contradictions(policy.agreements)
    _check_statements(policy)
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
            _check_notices(policy, agreement, contract)
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


def _check_contradictions(agreements: Iterable[Agreement]) -> None:
    """One recipient has one agreement with a provider for a purpose and a dataset on any day.

    Two could differ in fields, forms, conditions or consent, and the wider would win in silence.
    """
    spans: dict[tuple[AgencyId, AgencyId, str, EventType], list[Agreement]] = {}
    for agreement in agreements:
        for dataset in (*agreement.releases, *agreement.reads):
            place = (agreement.provider, agreement.recipient, agreement.purpose, dataset)
            spans.setdefault(place, []).append(agreement)
    for place, found in spans.items():
        for earlier, later in pairwise(sorted(found, key=lambda a: (a.valid_from, a.ref))):
            if earlier.ref.id != later.ref.id and later.valid_from <= earlier.valid_until:
                raise InvalidAgreement(
                    f"{later.ref} contradicts {earlier.ref}",
                    got=f"both release {place[-1]} to {place[1]} for {place[2]} on the same days",
                    expected="one agreement for it",
                    next_step="put their fields into one, or give one of them another purpose",
                )


def _check_statements(policy: PolicySet) -> None:
    """A statement is about an agreement of the set, in its very terms, by one of its parties."""
    about = {(a.ref, a.terms): a.approved_by for a in policy.agreements}
    for statement in policy.statements:
        if statement.party not in about.get((statement.agreement, statement.terms), ()):
            raise InvalidAgreement(
                f"{statement.agreement}: a statement of {statement.party} is about other terms,"
                " or not that party's to make"
            )
    if len(set(policy.statements)) != len(policy.statements):
        raise InvalidAgreement("a statement stands twice in the policy set")


def _check_owners(policy: PolicySet, contract: Contract) -> None:
    for leaf in contract.fields.values():
        if leaf.owner not in policy.agencies:
            raise InvalidAgreement(
                f"{contract.event_type}: the owner of {leaf.path} is no agency", got=leaf.owner
            )


def _check_parties(policy: PolicySet, agreement: Agreement) -> None:
    """The provider's officer is the provider's, the data protection's is one of its agencies."""
    guards = [agency.id for agency in policy.agencies.values() if agency.data_protection]
    may = {Role.PROVIDER: [agreement.provider], Role.DATA_PROTECTION: guards}
    for party in agreement.approved_by:
        if party.agency not in may[party.role]:
            raise InvalidAgreement(
                f"{agreement.ref}: approved_by", got=str(party),
                expected=f"{' or '.join(may[party.role]) or 'an agency'} as the {party.role}",
                next_step="agencies.yaml says who is the data protection",
            )  # fmt: skip


def _check_names(policy: PolicySet, agreement: Agreement) -> None:
    signers = (party.agency for party in agreement.approved_by)
    for agency in (agreement.provider, agreement.recipient, *signers):
        if agency not in policy.agencies:
            raise InvalidAgreement(f"{agreement.ref}: unknown agency", got=agency)
    _check_parties(policy, agreement)
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
    if agreement.access not in basis.access:
        raise InvalidAgreement(
            f"{agreement.ref}: {agreement.access} access may not rest on {basis.id}",
            expected=[access.value for access in basis.access],
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


def _check_notices(policy: PolicySet, agreement: Agreement, contract: Contract) -> None:
    """That an event with sensitive data exists is itself sensitive; views are kept from events."""
    if agreement.withheld is WhenWithheld.SILENT:
        return
    leaves = [contract.fields[path] for path in agreement.releases[contract.event_type].paths]
    sensitive = sorted(leaf.path for leaf in leaves if leaf.sensitivity is Sensitivity.SENSITIVE)
    if sensitive or policy.agencies[agreement.recipient].keeps:
        raise InvalidAgreement(
            f"{agreement.ref}: withheld: notify",
            got=sensitive or f"{agreement.recipient} keeps a view",
            expected="no sensitive field, and a recipient that reads notices",
            next_step="leave `withheld` out",
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
