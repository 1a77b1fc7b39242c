"""Past decisions are made again, and compared with what their records say. Pure.

Each is judged on the policy set that its record names, at the record's time, with the facts and
consents that were sealed beside it. What a record says of who asked, of bytes and of positions is
no decision, and is not compared. How much an agreement had been asked in that second is not known
any more: where a limit refused, all that is judged before it must have permitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from civicbus_schemas.decision import Deny
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.ids import PolicyVersion
from civicbus_schemas.vocabulary import Outcome, Reason

from civicbus_consumers.access.plan import PlannedRelease
from civicbus_consumers.explain.rules import Law
from civicbus_consumers.lookup.plan import ReadPlan
from civicbus_consumers.lookup.records import outcome_under
from civicbus_consumers.lookup.rules import Grant, Refusal
from civicbus_consumers.recording.facts import Sealed
from civicbus_consumers.replay.past import (
    Past,
    PastEvent,
    PastLookUp,
    Said,
    find_event,
    read_look_up,
)

LawOf = Callable[[PolicyVersion], Law | None]
"""The law of a policy version, None where no such set is at hand."""


class Finding(StrEnum):
    """What became of one replay."""

    SAME = "same"
    DIFFERS = "differs"
    BROKEN = "sealed-part-broken"
    ERASED = "sealed-part-erased"
    NO_POLICY = "policy-set-not-found"
    OTHER_FORM = "sealed-in-another-form"

    @property
    def is_difference(self) -> bool:
        """Whether the record says something else than what was sealed and announced."""
        return self in (Finding.DIFFERS, Finding.BROKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One record, and what its decision would say; `said` is None where that cannot be known."""

    past: Past
    finding: Finding
    said: Said | None = None


def replay(pasts: Iterable[Past], law_of: LawOf) -> Iterator[Replayed]:
    """Every decision, made again, in the ledger's order.

    A look-up's records about further persons seal no facts: they must say what the record before
    them says, which answers the same request.
    """
    before: Past | None = None
    for past in pasts:
        if before is not None and past.is_further(before):
            first = Said.of(before.record)
            yield _compared(past, replace(first, fields=past.record.fields))
        else:
            before = past
            yield _replayed(past, law_of)


def _replayed(past: Past, law_of: LawOf) -> Replayed:
    if past.sealed is None:
        return Replayed(past=past, finding=Finding.BROKEN if past.broken else Finding.ERASED)
    law = None if past.record.policy is None else law_of(past.record.policy)
    if law is None:
        return Replayed(past=past, finding=Finding.NO_POLICY)
    try:
        return _compared(past, _again(past, past.sealed, law))
    except InvalidBytes:
        return Replayed(past=past, finding=Finding.OTHER_FORM)


def _compared(past: Past, said: Said) -> Replayed:
    same = said == Said.of(past.record)
    return Replayed(past=past, finding=Finding.SAME if same else Finding.DIFFERS, said=said)


def _again(past: Past, sealed: Sealed, law: Law) -> Said:
    if past.record.event is None:
        return _of_look_up(read_look_up(past, sealed), law.reads)
    event = find_event(past, sealed, law.releases)
    for planned in () if event is None else event.type_.releases:
        if event is not None and planned.agreement.ref == past.record.agreement:
            return _of_release(event, planned)
    return Said(decision=Outcome.DENY, reason=Reason.NO_AGREEMENT)


def _of_release(event: PastEvent, planned: PlannedRelease) -> Said:
    decision = event.judge(planned)
    fields = event.past.record.fields
    about_whom = {fields for _, fields in planned.people}
    said = Said(
        decision=Outcome.PERMIT,
        agreement=decision.agreement,
        consent=None if decision.consent is None else str(decision.consent),
        purpose=planned.agreement.purpose,
        basis=planned.agreement.basis,
        fields=fields if fields in about_whom else planned.people[0][1],
    )
    if isinstance(decision, Deny):
        return replace(said, decision=Outcome.DENY, reason=decision.reason, rule=decision.rule)
    return said


def _of_look_up(asked: PastLookUp, plan: ReadPlan) -> Said:
    verdict, fields = asked.judge(plan), plan.known_fields(asked.request.fields)
    said = Said(
        decision=Outcome.PERMIT,
        agreement=None if verdict.agreement is None else verdict.agreement.ref,
        consent=None if verdict.consent is None else str(verdict.consent),
        purpose=asked.request.purpose,
        basis=None if verdict.agreement is None else verdict.agreement.basis,
        fields=fields,
    )
    match verdict:
        case Refusal(reason=reason, rule=rule):
            return replace(said, decision=Outcome.DENY, reason=reason, rule=rule)
        case Grant(agreement=agreement) if plan.contract is not None:
            key = plan.contract.key_subject.name
            about = (path for path in fields if plan.contract.fields[path].subject == key)
            outcome = outcome_under(agreement.access)
            return replace(said, decision=outcome, fields=tuple(about))
    return said
