"""A look-up that was admitted, and the bench that it is answered at."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from civicbus_audit.vault.port import Vault
from civicbus_schemas.consent import SubjectConsents
from civicbus_schemas.page import Position
from civicbus_schemas.pseudonym import topic_pseudonym
from opentelemetry.trace import SpanContext

from civicbus_consumers.access.limits import Allowances
from civicbus_consumers.consent.uses import NoneLeft, Reservations
from civicbus_consumers.lookup.database import View
from civicbus_consumers.lookup.plan import ReadPlan
from civicbus_consumers.lookup.request import LookupRequest
from civicbus_consumers.lookup.token import Token
from civicbus_consumers.recording.naming import NameAllowance


class States(Protocol):
    """What is known of policy and consents (`states.States`)."""

    @property
    def plan(self) -> ReadPlan:
        """The newest plan; changes only while catching up."""
        ...

    def catch_up(self) -> tuple[Position, ...]:
        """Know every state committed before this call; raises `Retryable` or `Stopped`."""
        ...

    def consents_of(self, key: bytes) -> SubjectConsents:
        """All consents of the subject with this topic pseudonym."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """One admitted look-up: who asks, what, and the span of its trace where that is sampled."""

    token: Token
    request: LookupRequest
    trace: SpanContext | None = None

    @property
    def trace_id(self) -> str | None:
        """The trace's id as records hold it."""
        return None if self.trace is None else f"{self.trace.trace_id:032x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What look-ups are answered with."""

    states: States
    view: View
    topic_key: bytes
    vault: Vault
    names: NameAllowance = field(default_factory=NameAllowance)
    reservations: Reservations = field(default_factory=NoneLeft)
    people: Reservations = field(default_factory=NoneLeft)
    allowances: Allowances = field(default_factory=lambda: Allowances(begun=datetime.now(UTC)))

    def key_of(self, lookup: Lookup) -> bytes:
        """The topic pseudonym of the person asked about."""
        return topic_pseudonym(self.topic_key, lookup.request.pin).encode()
