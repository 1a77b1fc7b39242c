"""What look-ups take before they are decided: their part of limits, and uses of counted consents.

Both are had for a whole batch at once, and kept by look-ups that are then refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from civicbus_consumers.consent.uses import Use, is_counted, reserve_all
from civicbus_consumers.lookup.bench import Bench, Lookup
from civicbus_consumers.lookup.rules import under_agreements
from civicbus_consumers.lookup.turnstile import Turnstile
from civicbus_consumers.lookup.uses import wanted_uses


def pass_limits(lookups: Sequence[Lookup], bench: Bench, at: datetime) -> Turnstile:
    """The limits at the time of a batch; places in a day are reserved for all of it at once."""
    plan = bench.states.plan
    turnstile = Turnstile(plan=plan, allowances=bench.allowances, people=bench.people, at=at)
    for lookup in lookups if plan.subjects_per_day else ():
        key = bench.key_of(lookup)
        under_agreements(
            lookup.request,
            plan,
            recipient=lookup.token.agency,
            consents=bench.states.consents_of(key),
            at=at,
            has_use=lambda *_: True,
            within=turnstile.gathering(lookup.token.jti, key),
        )
    turnstile.reserve_places()
    return turnstile


def reserve_uses(
    lookups: Sequence[Lookup], bench: Bench, at: datetime, *, turnstile: Turnstile
) -> frozenset[Use]:
    """Reserve the uses that verdicts will rest on; nobody is asked where nothing is counted."""
    counted = []
    for lookup in lookups:
        key = bench.key_of(lookup)
        consents = bench.states.consents_of(key)
        if is_counted(consents):
            counted.append((lookup, key, consents))

    def wanted(refused: frozenset[Use]) -> Iterator[Use]:
        for one, key, consents in counted:
            yield from wanted_uses(
                one.token,
                one.request,
                bench.states.plan,
                consents=consents,
                at=at,
                refused=refused,
                within=turnstile.of(one.token.jti, key),
            )

    return reserve_all(wanted, bench.reservations)
