"""What is asked of the registry, what it holds of a consent, and what it says. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol

from civicbus_schemas.consent import Uses
from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.vocabulary import ConsentAct, Reason

from civicbus_consumers.consent.registry.terms import DataAgreement, Key


class Standing(StrEnum):
    """Where a consent stands in the registry. What was not answered in time expires, too."""

    REQUESTED = "requested"
    GIVEN = "given"
    REFUSED = "refused"
    PAUSED = "paused"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a consent is about: who gets which fields for what, how long and how often."""

    recipient: AgencyId
    purpose: str
    fields: frozenset[str]
    valid_until: datetime | None = None
    uses: Uses | None = None
    erase_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who acts, and the eID level that the citizen's side saw him sign in with."""

    pin: Pin
    eid_level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A recipient asks; the person is named as in a look-up. Unanswered it ends at `answer_by`."""

    id: str
    pin: Pin
    full_name: str = field(repr=False)
    date_of_birth: date = field(repr=False)
    terms: Terms
    answer_by: datetime

    @property
    def act(self) -> ConsentAct:
        """Which act it is."""
        return ConsentAct.REQUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Give:
    """The citizen consents. `shown` is the hash of the data agreement that he was shown."""

    id: str
    pin: Pin
    signer: Signer
    terms: Terms
    shown: str

    @property
    def act(self) -> ConsentAct:
        """Which act it is."""
        return ConsentAct.GIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Alter:
    """The citizen refuses, renews, pauses, resumes or withdraws.

    `version` is the one he saw, so that an act that comes late or twice is known for it; refusing
    and withdrawing need none. Renewing is consenting anew: it needs `shown`. Without `signer` the
    registry itself withdraws, at a death.
    """

    act: ConsentAct
    id: str
    pin: Pin
    signer: Signer | None
    version: int | None = None
    valid_until: datetime | None = None
    shown: str | None = None


Demand = Request | Give | Alter


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A consent as the registry holds it. Version 0 was never given.

    `subject` and `signer` are topic pseudonyms; `act` is what made it stand so; `shown` is the
    hash of the data agreement that was consented to.
    """

    id: str
    version: int
    subject: str
    terms: Terms
    standing: Standing
    act: ConsentAct
    since: datetime
    answer_by: datetime | None = None
    signer: str | None = None
    shown: str | None = None

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"

    def standing_at(self, at: datetime) -> Standing:
        """Where it stands then: what nobody answered, and what had its time, has expired."""
        waiting = self.standing is Standing.REQUESTED
        live = self.standing in {Standing.GIVEN, Standing.PAUSED}
        ends = (self.answer_by,) if waiting else (self.terms.valid_until, self.terms.erase_at)
        if (waiting or live) and any(end is not None and at >= end for end in ends):
            return Standing.EXPIRED
        return self.standing


class Person(Protocol):
    """One person of the view: a value for every path of its contract."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The values by path, None where the view knows none."""
        ...

    def is_person(self, *, full_name: str, date_of_birth: date) -> bool:
        """Whether this is the person of that name and birth."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that a demand is judged on. `ended` says that the registry heard of the death."""

    asker: AgencyId
    registrar: AgencyId
    agreements: Mapping[Key, DataAgreement]
    held: Held | None
    subject: Person | None
    signer: Person | None
    subject_name: str
    signer_name: str | None
    ended: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The consent stands so from now on."""

    after: Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """It has been done before; nothing changes."""

    held: Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing changes, for this reason; `eid_level` is the one needed, where it was too low, and
    `fields` are those that the agreement lacks.
    """

    reason: Reason
    eid_level: int | None = None
    fields: tuple[str, ...] = ()


Verdict = Accepted | Repeated | Refused
