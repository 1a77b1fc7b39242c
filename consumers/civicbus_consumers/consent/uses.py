"""Uses of counted consents: reserved before anything is recorded, so that none is spent twice.

A reservation belongs to a claim, which names what the use is for. A retry makes the same claim and
finds its reservation; one whose data was never released stays spent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from civicbus_schemas.consent import Consent, SubjectConsents


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One use of a consent of which `allowed` may be made within the period (`Uses.period_of`)."""

    consent: str
    claim: str
    period: str
    allowed: int


def use_of(consent: Consent, claim: str, at: datetime) -> Use | None:
    """The use that this claim makes of a consent; None where its uses are not counted."""
    if consent.uses is None:
        return None
    return Use(
        consent=consent.id,
        claim=claim,
        period=consent.uses.period_of(at),
        allowed=consent.uses.count,
    )


def is_counted(consents: SubjectConsents) -> bool:
    """Whether the uses of any of these are counted."""
    return any(consent.uses is not None for consent in consents.consents)


class Reservations(Protocol):
    """Where uses are counted, for streams and look-ups alike."""

    def reserve(self, uses: Sequence[Use]) -> frozenset[Use]:
        """Those that are reserved now, or were before; of the others none is left.

        Durable on return, and one round trip unless others take from the same consents just now.
        Raises `Unavailable`, with some perhaps reserved, or `Fatal`.
        """
        ...


class NoneLeft:
    """Where nobody counts, nothing is left (deny by default)."""

    def reserve(self, uses: Sequence[Use]) -> frozenset[Use]:
        """None of them."""
        del uses
        return frozenset()


Refused = frozenset[Use]
Wanted = Callable[[Refused], Iterable[Use]]
"""The uses that decisions rest on, if these are refused."""


def reserve_all(wanted: Wanted, reservations: Reservations) -> frozenset[Use]:
    """Reserve all that is wanted; where one is refused, what is wanted in its stead."""
    granted, refused = frozenset[Use](), frozenset[Use]()
    while missing := [use for use in dict.fromkeys(wanted(refused)) if use not in granted]:
        got = reservations.reserve(missing)
        granted |= got
        refused |= frozenset(missing) - got
    return granted
