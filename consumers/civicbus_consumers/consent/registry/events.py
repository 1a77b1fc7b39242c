"""From an accepted act to the event that tells the bus of it.

Asking and refusing are not told: nothing is released on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from civicbus_schemas.contract import Contract
from civicbus_schemas.event import Event, event_class
from civicbus_schemas.ids import EventType, Fingerprint, Pin
from civicbus_schemas.vocabulary import ConsentAct, ConsentStatus

from civicbus_consumers.consent.registry.acts import Held, Standing
from civicbus_consumers.consent.rules import CHANGED, GIVEN, WITHDRAWN

Contracts = Mapping[EventType, Contract]

_TYPES = {
    ConsentAct.GIVE: GIVEN,
    ConsentAct.RENEW: CHANGED,
    ConsentAct.PAUSE: CHANGED,
    ConsentAct.RESUME: CHANGED,
    ConsentAct.WITHDRAW: WITHDRAWN,
}


def is_told(act: ConsentAct) -> bool:
    """Whether the bus is told of such an act."""
    return act in _TYPES


class Teller:
    """Makes events as the nation's contracts have them."""

    def __init__(self) -> None:
        self._classes: dict[Fingerprint, type[Event]] = {}

    def event(self, held: Held, pin: Pin, *, contracts: Contracts) -> Event:
        """The event that tells how the consent stands after the act that made it so."""
        about = {
            "citizen": {"pin": pin.number},
            "consent_id": held.id,
            "recipient": held.terms.recipient,
            "purpose": held.terms.purpose,
        }
        contract = contracts[_TYPES[held.act]]
        if contract.fingerprint not in self._classes:
            self._classes[contract.fingerprint] = event_class(contract, module=__name__)
        return self._classes[contract.fingerprint].from_datum(about | _told(held))


def _told(held: Held) -> dict[str, Any]:
    terms = held.terms
    match held.act:
        case ConsentAct.GIVE:
            uses = terms.uses
            return {
                "fields": sorted(terms.fields),
                "given_at": held.since,
                "valid_until": terms.valid_until,
                "uses": uses and {"count": uses.count, "per": uses.per and uses.per.value},
                "erase_at": terms.erase_at,
            }
        case ConsentAct.WITHDRAW:
            return {"withdrawn_at": held.since}
        case _:
            paused = held.standing is Standing.PAUSED
            return {
                "version": held.version,
                "status": (ConsentStatus.PAUSED if paused else ConsentStatus.GIVEN).value,
                "valid_until": terms.valid_until,
                "changed_at": held.since,
            }
