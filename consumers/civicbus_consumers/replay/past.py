"""A past decision as record and sealed part tell it, and how it is made again. Pure.

Nothing is judged here: `access.decide` and `lookup.rules` do, on whichever plan they are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.decision import Decision, Facts
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.ids import AgreementRef
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import Outcome, Reason

from civicbus_consumers.access.decide import is_minor, judge
from civicbus_consumers.access.plan import Plan, PlannedRelease, PlannedType
from civicbus_consumers.lookup import rules as lookup
from civicbus_consumers.lookup.plan import ReadPlan
from civicbus_consumers.lookup.request import Mode
from civicbus_consumers.recording.facts import Sealed, read_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The record of one decision as the ledger has it, and its sealed part.

    `sealed` is None where it was erased, or `broken`: it does not open, or is not the record's.
    """

    index: int
    record: Record
    sealed: Sealed | None
    broken: bool = False

    @property
    def was_too_much(self) -> bool:
        """Whether the agreement's limit refused it, of that second or day."""
        return self.record.reason in (Reason.LIMIT_EXCEEDED, Reason.DAILY_LIMIT_EXCEEDED)

    def is_further(self, before: Past | None) -> bool:
        """Whether this is about a further person of the look-up before: that one has the facts."""
        return (
            self.sealed is not None
            and self.sealed.facts is None
            and before is not None
            and self.record.req is not None
            and before.record.req is not None
            and self.record.req.jti == before.record.req.jti
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a decision says, as a record tells it."""

    decision: Outcome
    agreement: AgreementRef | None = None
    reason: Reason | None = None
    rule: str | None = None
    consent: str | None = None
    purpose: str | None = None
    basis: str | None = None
    fields: tuple[str, ...] = ()

    @classmethod
    def of(cls, record: Record) -> Said:
        """What this record says."""
        return cls(
            decision=record.decision,
            agreement=record.agreement,
            reason=record.reason,
            rule=record.rule,
            consent=record.consent,
            purpose=record.purpose,
            basis=record.basis,
            fields=record.fields,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PastEvent:
    """An event as far as a decision read it, under a plan that knows its type."""

    type_: PlannedType
    facts: Facts
    past: Past
    sealed: Sealed

    def judge(self, planned: PlannedRelease) -> Decision:
        """The decision under one agreement, at the record's time."""
        at = self.past.record.at
        minor = is_minor(self.facts, self.type_.born, at)
        return judge(
            planned,
            self.facts,
            self.sealed.consents,
            minor=minor,
            at=at,
            has_use=self.sealed.has_use,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRequest:
    """What was asked in a look-up (`lookup.rules.Named`)."""

    full_name: str
    date_of_birth: date
    purpose: str
    mode: Mode
    fields: tuple[str, ...]
    breaks_glass: bool


@dataclass(frozen=True, slots=True)
class PastPerson:
    """What the view said of the person's identity (`lookup.rules.Person`)."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastLookUp:
    """A look-up as it was asked, and whom the view knew."""

    request: PastRequest
    person: PastPerson | None
    past: Past
    sealed: Sealed

    def judge(self, plan: ReadPlan) -> lookup.Verdict:
        """The verdict under a plan, at the record's time."""
        record = self.past.record
        if record.recipient is None:
            raise InvalidBytes("a look-up's record without a recipient")
        return lookup.judge(
            self.request,
            plan,
            recipient=record.recipient,
            consents=self.sealed.consents,
            person=self.person,
            at=record.at,
            has_use=self.sealed.has_use,
            within=self._within,
        )

    def _within(self, agreement: Agreement) -> Reason | None:
        """What the record says of limits is taken on trust: neither can be counted again."""
        was = self.past.record.agreement
        limited = self.past.was_too_much and was is not None and agreement.ref.id == was.id
        return self.past.record.reason if limited else None


def find_event(past: Past, sealed: Sealed, plan: Plan) -> PastEvent | None:
    """The event under a plan, None where its provider has no such type; raises `InvalidBytes`."""
    document = sealed.facts or {}
    match document:
        case {"provider": provider, "event_type": event_type}:
            type_ = plan.find(provider, event_type)
        case _:
            raise InvalidBytes("no facts of an event are sealed here")
    if type_ is None:
        return None
    facts = read_facts(document, type_.contract)
    return PastEvent(type_=type_, facts=facts, past=past, sealed=sealed)


def read_look_up(past: Past, sealed: Sealed) -> PastLookUp:
    """The look-up that was sealed; raises `InvalidBytes`."""
    try:
        asked, found = (sealed.facts or {})["asked"], (sealed.facts or {})["found"]
        request = PastRequest(
            full_name=asked["full_name"],
            date_of_birth=date.fromisoformat(asked["date_of_birth"]),
            purpose=past.record.purpose or "",
            mode=Mode(asked["mode"]),
            fields=tuple(asked["fields"]),
            breaks_glass=asked.get("breaks_glass", False),
        )
        person = None if found is None else PastPerson(_identity(found))
    except (KeyError, TypeError, ValueError):
        raise InvalidBytes("no look-up is sealed here") from None
    return PastLookUp(request=request, person=person, past=past, sealed=sealed)


def _identity(found: Mapping[str, Any]) -> Mapping[str, Any]:
    born = found["date_of_birth"]
    return {**found, "date_of_birth": None if born is None else date.fromisoformat(born)}
