"""What a recipient is handed: deliveries, and notices that something was withheld or has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from civicbus_schemas.event import Delivered
from civicbus_schemas.ids import AgreementRef, EventId, EventType, RecordId
from civicbus_schemas.pseudonym import PairwisePseudonym
from civicbus_schemas.withheld import WithheldReason
from opentelemetry import trace
from opentelemetry.trace import Link
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where a message lies."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Received:
    """What deliveries and notices share: on what ground they came, and where they lie.

    `event_id` is the same whenever this message comes again: remember it to drop repetitions.
    `record_id` names the audit record, and `consent` the consent that it rests on, where it rests
    on one: what is to be erased with it.
    """

    event_id: EventId
    type: EventType
    purpose: str
    basis: str
    agreement: AgreementRef
    record_id: RecordId
    consent: str | None = None
    time: datetime
    position: Position
    traceparent: str | None = None
    acknowledgement: Callable[[], bool] = field(repr=False, compare=False)

    def acknowledge(self) -> bool:
        """Say that this is dealt with; it will not come again once that is committed.

        False when its partition has meanwhile moved to another member of the group, who gets it
        again.
        """
        return self.acknowledgement()

    @property
    def trace_link(self) -> Link | None:
        """Its trace, for a span of yours to link to."""
        if self.traceparent is None:
            return None
        context = _propagator.extract({"traceparent": self.traceparent})
        return Link(trace.get_current_span(context).get_span_context())


@dataclass(frozen=True, slots=True, kw_only=True)
class _About(_Received):
    """What concerns one person; `subject` is this agency's own pseudonym of the person.

    While those pseudonyms are being replaced, `former` tells for each one in it the one before.
    """

    subject: PairwisePseudonym = field(repr=False)
    former: Mapping[PairwisePseudonym, PairwisePseudonym] = field(
        default_factory=dict, repr=False, compare=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(_About):
    """One event as released to this agency; a field that was cut raises `NotReleased`."""

    event: Delivered


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld(_About):
    """An event of that type about this person was withheld from this agency, and why.

    `type` is the event's, `time` that of the decision. Nothing of the event is known here.
    """

    reason: WithheldReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn(_Received):
    """A citizen has withdrawn this `consent`; what this agency got on it names it too.

    `type` is `<family>.Withdrawn`, `time` that of the withdrawal. It names nobody. Nothing that
    comes behind it on its partition rests on the consent.
    """

    consent: str


Received = Delivery | Withheld | Withdrawn
