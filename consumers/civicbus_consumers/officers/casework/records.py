"""What the ledger says of an act upon a case, and what of it is sealed. Pure.

The record names the official by pseudonym and role, the act, and the case by its opaque id; names,
texts and what is linked are sealed, and the record commits to them.
"""

from __future__ import annotations

from collections.abc import Iterator

from civicbus_schemas.codec import canonical_json
from civicbus_schemas.record import Actor, Record, Request, commitment
from civicbus_schemas.subject import Secrets, Subject, case, officer, person
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind

from civicbus_consumers.officers.casework.acts import Demand
from civicbus_consumers.officers.records import SYSTEM, officer_of
from civicbus_consumers.officers.rules import Asker, Citizen, Official
from civicbus_consumers.officers.token import Pass
from civicbus_consumers.recording.pages import Stamp


def secret_of(asker: Asker, demand: Demand) -> bytes:
    """What is sealed: the official's name and the whole act."""
    name = asker.name if isinstance(asker, Official) else None
    return canonical_json({"officer": name, "asked": demand.document()})


def matter_of(asker: Asker, demand: Demand) -> Subject | None:
    """The case as the vault knows it: under its agency."""
    return None if demand.case is None else case(asker.agency, demand.case)


def subjects_of(asker: Asker, demand: Demand) -> Iterator[Subject]:
    """Everybody and everything that an act and its record name."""
    match asker:
        case Citizen(pin=pin):
            yield person(pin)
        case Official(agency=agency, name=name):
            yield officer(agency, name)
    if (matter := matter_of(asker, demand)) is not None:
        yield matter
    if demand.assignee is not None:
        yield officer(asker.agency, demand.assignee)


def record_act(
    holder: Pass, demand: Demand, refused: Reason | None, *, secrets: Secrets, stamp: Stamp
) -> Record:
    """The record of one act, made before it is done."""
    asker, matter = holder.asker, matter_of(holder.asker, demand)
    return Record(
        id=stamp.id,
        nonce=stamp.nonce,
        kind=RecordKind.OFFICER_CASE,
        at=stamp.at,
        actor=Actor(
            agency=asker.agency,
            system=SYSTEM,
            role=asker.role,
            officer=officer_of(asker, secrets),
        ),
        recipient=asker.agency,
        subject=secrets[person(asker.pin)].pseudonym if isinstance(asker, Citizen) else None,
        fields=(demand.act.value,),
        decision=Outcome.PERMIT if refused is None else Outcome.DENY,
        reason=refused,
        payload_hash=commitment(stamp.salt, canonical_json(demand.document())),
        req=Request(jti=holder.jti, case=matter and secrets[matter].pseudonym),
        sealed=commitment(stamp.salt, secret_of(asker, demand)),
    )
