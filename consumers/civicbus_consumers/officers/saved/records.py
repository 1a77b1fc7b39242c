"""What the ledger says of an act upon saved queries, and what of it is sealed. Pure.

The record names the official by pseudonym and role, the act, and the query by its opaque id and
version; title and what is looked for are sealed, and the record commits to them.
"""

from __future__ import annotations

from civicbus_schemas.codec import canonical_json
from civicbus_schemas.record import Actor, Record, Request, commitment
from civicbus_schemas.subject import Secrets, Subject, officer, person
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind

from civicbus_consumers.officers.records import SYSTEM, officer_of
from civicbus_consumers.officers.rules import Asker, Citizen, Official, SavedRef
from civicbus_consumers.officers.saved.acts import Demand
from civicbus_consumers.officers.token import Pass
from civicbus_consumers.recording.pages import Stamp


def secret_of(asker: Asker, demand: Demand) -> bytes:
    """What is sealed: the official's name and the whole act."""
    name = asker.name if isinstance(asker, Official) else None
    return canonical_json({"officer": name, "asked": demand.document()})


def who(asker: Asker) -> Subject:
    """The asker as the vault knows him."""
    match asker:
        case Citizen(pin=pin):
            return person(pin)
        case Official(agency=agency, name=name):
            return officer(agency, name)


def record_act(
    holder: Pass,
    demand: Demand,
    refused: Reason | None,
    *,
    ref: SavedRef | None,
    secrets: Secrets,
    stamp: Stamp,
) -> Record:
    """The record of one act, made before it is done; `ref` is the query as it is after it."""
    asker = holder.asker
    return Record(
        id=stamp.id,
        nonce=stamp.nonce,
        kind=RecordKind.OFFICER_SAVED,
        at=stamp.at,
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
        req=Request(jti=holder.jti, id=None if ref is None else str(ref)),
        sealed=commitment(stamp.salt, secret_of(asker, demand)),
    )
