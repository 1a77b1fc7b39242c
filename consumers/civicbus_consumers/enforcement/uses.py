"""Which uses of counted consents the decisions about events rest on; and their reservation.

An event makes one claim under each agreement, whatever the agreement's version: released again
after a crash, or under a newer version, it is the same use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.consent import Consent, SubjectConsents
from civicbus_schemas.decision import Permit
from civicbus_schemas.record import Source

from civicbus_consumers.access.decide import HasUse, decide
from civicbus_consumers.access.people import place_of
from civicbus_consumers.access.plan import Plan
from civicbus_consumers.consent.uses import Reservations, Use, reserve_all, use_of
from civicbus_consumers.enforcement.rules import Event, facts_of


def reserve_for(
    events: Sequence[tuple[Event, SubjectConsents]],
    plan: Plan,
    at: datetime,
    *,
    reservations: Reservations,
) -> frozenset[Use]:
    """Reserve what the decisions about these events rest on; raises what `reservations` raises."""

    def wanted(refused: frozenset[Use]) -> Iterator[Use]:
        for event, consents in events:
            yield from wanted_uses(event, plan, consents, at=at, refused=refused)

    return reserve_all(wanted, reservations)


def places_for(
    events: Sequence[tuple[Event, bytes, SubjectConsents]],
    plan: Plan,
    at: datetime,
    *,
    people: Reservations,
) -> list[bool]:
    """Of each event whether its person has a place in the day of all agreements that may have it.

    Each event comes with its subject's topic pseudonym and consents. One round trip, and none where
    no agreement is limited. Raises what `people` raises.
    """
    wanted = [
        list(_places(event, plan, key=key, consents=consents, at=at))
        for event, key, consents in events
    ]
    places = list(dict.fromkeys(place for each in wanted for place in each))
    granted = people.reserve(places) if places else frozenset()
    return [granted.issuperset(each) for each in wanted]


def _places(
    event: Event, plan: Plan, *, key: bytes, consents: SubjectConsents, at: datetime
) -> Iterator[Use]:
    for decision in decide(facts_of(event), plan, consents, at, has_use=lambda *_: True):
        allowed = plan.subjects_per_day.get(decision.agreement)
        if isinstance(decision, Permit) and allowed is not None:
            yield place_of(decision.agreement, key, at, allowed=allowed)


def reserved_for(source: Source, granted: frozenset[Use], at: datetime) -> HasUse:
    """What decisions about this event are told of uses: which of them were granted."""
    return lambda agreement, consent: _use(source, agreement, consent, at=at) in granted


def wanted_uses(
    event: Event, plan: Plan, consents: SubjectConsents, *, at: datetime, refused: frozenset[Use]
) -> Iterator[Use]:
    """The uses that its permissions would rest on if all but the refused ones could be had."""

    def may_have(agreement: Agreement, consent: Consent) -> bool:
        return _use(event.source, agreement, consent, at=at) not in refused

    decisions = decide(facts_of(event), plan, consents, at, has_use=may_have)
    for planned, decision in zip(event.planned.releases, decisions, strict=True):
        if isinstance(decision, Permit) and decision.consent is not None:
            use = _use(event.source, planned.agreement, decision.consent, at=at)
            if use is not None:
                yield use


def _use(source: Source, agreement: Agreement, consent: Consent, *, at: datetime) -> Use | None:
    place = f"{source.topic}:{source.partition}:{source.offset}"
    return use_of(consent, f"{place} {agreement.ref.id}", at)
