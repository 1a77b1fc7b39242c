"""Which look-ups of a batch the limits of their agreements refuse.

A look-up takes its part of a limit when it is asked properly under an agreement, before a use of a
consent is reserved and before the person is looked at. It keeps it when it is then refused, so that
nobody can try names, or people without consent, faster than was agreed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.ids import AgreementRef
from civicbus_schemas.vocabulary import Reason

from civicbus_consumers.access.limits import Allowances
from civicbus_consumers.lookup.rules import Within
from civicbus_consumers.lookup.token import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Turnstile:
    """The limits at one time; however often a look-up is judged, it takes its part once."""

    allowances: Allowances
    per_second: Mapping[AgreementRef, int]
    at: datetime
    _told: dict[tuple[str, AgreementRef], Reason | None] = field(default_factory=dict)

    def of(self, token: Token) -> Within:
        """What the look-up of this token is refused with, under each agreement."""

        def within(agreement: Agreement) -> Reason | None:
            asked = token.jti, agreement.ref
            if asked not in self._told:
                self._told[asked] = self._take(agreement.ref)
            return self._told[asked]

        return within

    def _take(self, ref: AgreementRef) -> Reason | None:
        wait_s = self.allowances.take([ref], self.per_second, self.at)
        return Reason.LIMIT_EXCEEDED if wait_s else None
