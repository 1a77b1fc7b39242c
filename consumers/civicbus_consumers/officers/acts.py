"""What the ledger says of an act at a desk that keeps things, and what of it is sealed. Pure.

The record names the official by pseudonym and role, the act, and what it is upon by an opaque id;
all else of the act is sealed, and the record commits to it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

from civicbus_schemas.codec import canonical_json
from civicbus_schemas.record import Actor, Record, Request, commitment
from civicbus_schemas.subject import Secrets
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind

from civicbus_consumers.officers.records import SYSTEM, officer_of, who
from civicbus_consumers.officers.rules import Asker, Citizen, Official
from civicbus_consumers.officers.token import Pass
from civicbus_consumers.recording.pages import Stamp


class Demand(Protocol):
    """An act that is demanded (`casework.acts.Demand`, `saved.acts.Demand`)."""

    @property
    def act(self) -> StrEnum:
        """Which act."""
        ...

    def document(self) -> dict[str, Any]:
        """One spelling, to be sealed and committed to."""
        ...


def secret_of(asker: Asker, demand: Demand) -> bytes:
    """What is sealed: the official's name and the whole act."""
    name = asker.name if isinstance(asker, Official) else None
    return canonical_json({"officer": name, "asked": demand.document()})


def record_act(
    holder: Pass,
    demand: Demand,
    refused: Reason | None,
    *,
    kind: RecordKind,
    upon: Request,
    secrets: Secrets,
    stamp: Stamp,
) -> Record:
    """The record of one act, made before it is done; `upon` says on which thing."""
    asker = holder.asker
    return Record(
        **stamp.marks(secret_of(asker, demand)),
        kind=kind,
        actor=Actor(
            agency=asker.agency,
            system=SYSTEM,
            role=asker.role,
            officer=officer_of(asker, secrets),
        ),
        recipient=asker.agency,
        subject=secrets[who(asker)].pseudonym if isinstance(asker, Citizen) else None,
        fields=(demand.act.value,),
        decision=Outcome.PERMIT if refused is None else Outcome.DENY,
        reason=refused,
        payload_hash=commitment(stamp.salt, canonical_json(demand.document())),
        req=upon,
    )
