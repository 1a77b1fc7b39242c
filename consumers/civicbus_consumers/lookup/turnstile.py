"""Which look-ups of a batch the limits of their agreements refuse.

A look-up takes its part of a limit when it is asked properly under an agreement, before a use of a
consent is reserved and before the person is looked at. It keeps it when it is then refused, so that
nobody can try names, or people without consent, faster than was agreed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.ids import AgreementRef
from civicbus_schemas.vocabulary import Reason

from civicbus_consumers.access.limits import Allowances
from civicbus_consumers.access.people import place_of
from civicbus_consumers.consent.uses import Reservations, Use
from civicbus_consumers.lookup.plan import ReadPlan
from civicbus_consumers.lookup.rules import Within

Asked = tuple[str, AgreementRef]
"""The id of a look-up's token, and an agreement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turnstile:
    """The limits at one time; however often a look-up is judged, it takes its part once."""

    plan: ReadPlan
    allowances: Allowances
    people: Reservations
    at: datetime
    _told: dict[Asked, Reason | None] = field(default_factory=dict)
    _waiting: dict[Asked, Use] = field(default_factory=dict)

    def gathering(self, jti: str, subject: bytes) -> Within:
        """As `of`, but places in a day are gathered for `reserve_places`, and none refuses yet."""

        def within(agreement: Agreement) -> Reason | None:
            asked = jti, agreement.ref
            if asked not in self._told:
                self._told[asked] = self._take(agreement.ref)
                place = self._place(agreement.ref, subject)
                if place is not None and self._told[asked] is None:
                    self._waiting[asked] = place
            return self._told[asked]

        return within

    def reserve_places(self) -> None:
        """Reserve all that was gathered, in one round trip; raises as `Reservations` does."""
        if self._waiting:
            granted = self.people.reserve(list(dict.fromkeys(self._waiting.values())))
            for asked, place in self._waiting.items():
                self._told[asked] = None if place in granted else Reason.DAILY_LIMIT_EXCEEDED
            self._waiting.clear()

    def of(self, jti: str, subject: bytes) -> Within:
        """What the look-up of this token about that subject is refused with, by agreement.

        Raises as `Reservations` does, where an agreement is reached that was not before.
        """
        gathering = self.gathering(jti, subject)

        def within(agreement: Agreement) -> Reason | None:
            gathering(agreement)
            self.reserve_places()
            return self._told[jti, agreement.ref]

        return within

    def _take(self, ref: AgreementRef) -> Reason | None:
        wait_s = self.allowances.take([ref], self.plan.per_second, self.at)
        return Reason.LIMIT_EXCEEDED if wait_s else None

    def _place(self, ref: AgreementRef, subject: bytes) -> Use | None:
        allowed = self.plan.subjects_per_day.get(ref)
        return None if allowed is None else place_of(ref, subject, self.at, allowed=allowed)
