"""What the ledger says of an act upon a consent, and what of it is sealed. Pure.

The record names the person by pseudonym, recipient, purpose, fields, and the consent with the
version it has from now on; the signer, and what was shown, are sealed.
"""

from __future__ import annotations

from typing import Any

from civicbus_schemas.codec import canonical_json
from civicbus_schemas.ids import AgencyId, PolicyVersion
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.record import Actor, Record
from civicbus_schemas.record import Request as Asked
from civicbus_schemas.vocabulary import Outcome, RecordKind

from civicbus_consumers.consent.registry.acts import (
    Accepted,
    Alter,
    Demand,
    Give,
    Held,
    Refused,
    Request,
    Signer,
)
from civicbus_consumers.recording.pages import Stamp

SYSTEM = "consent-registry"
BASIS = "consent.data-subject"
SELF, GUARDIAN, REGISTRY, RECIPIENT = "self", "guardian", "registry", "recipient"


def record_act(
    demand: Demand,
    verdict: Accepted | Refused,
    *,
    asker: AgencyId,
    held: Held | None,
    subject: LedgerPseudonym,
    policy: PolicyVersion,
    jti: str | None,
    secret: bytes,
    stamp: Stamp,
) -> Record:
    """The record of one act; `held` is the consent as it was before, where it is this person's."""
    after = verdict.after if isinstance(verdict, Accepted) else held
    terms = demand.terms if not isinstance(demand, Alter) else after and after.terms
    return Record(
        **stamp.marks(secret),
        kind=RecordKind(f"consent.{demand.act}"),
        actor=Actor(agency=asker, system=SYSTEM, role=role_of(demand)),
        recipient=terms.recipient if terms else None,
        subject=subject,
        fields=tuple(sorted(terms.fields)) if terms else (),
        purpose=terms.purpose if terms else None,
        basis=BASIS,
        consent=str(after) if after else f"{demand.id}@0",
        decision=Outcome.DENY if isinstance(verdict, Refused) else Outcome.PERMIT,
        reason=verdict.reason if isinstance(verdict, Refused) else None,
        policy=policy,
        req=Asked(jti=jti) if jti else None,
    )


def role_of(demand: Demand) -> str:
    """In which role the act is done."""
    match demand:
        case Request():
            return RECIPIENT
        case Alter(signer=None):
            return REGISTRY
        case Give(signer=Signer() as signer) | Alter(signer=Signer() as signer):
            return SELF if signer.pin == demand.pin else GUARDIAN
        case _:
            raise AssertionError(demand.act)


def secret_of(demand: Demand, *, signer: LedgerPseudonym | None) -> bytes:
    """What is sealed: who signed with which eID level, and the hash of what was shown."""
    told: dict[str, Any] = {"signer": signer}
    if isinstance(demand, Give | Alter) and demand.signer is not None:
        told |= {"eid_level": demand.signer.eid_level, "shown": demand.shown}
    return canonical_json(told)
