"""What the record of a look-up says, and what of it is sealed. Pure: ids, salts, times are given.

Officer, case and everything that was asked are sealed; the record holds a pseudonym of the officer,
an opaque id of the case, and those of the fields asked for that the view has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from civicbus_schemas.codec import canonical_json
from civicbus_schemas.consent import SubjectConsents
from civicbus_schemas.ids import PolicyVersion
from civicbus_schemas.record import Actor, Positions, Record, Request, commitment
from civicbus_schemas.subject import Secret, Secrets, Subject, case, officer
from civicbus_schemas.vocabulary import Access, Outcome, RecordKind

from civicbus_consumers.lookup.plan import VIEW
from civicbus_consumers.lookup.request import LookupRequest
from civicbus_consumers.lookup.rules import Person, Refusal, Verdict
from civicbus_consumers.lookup.token import Token
from civicbus_consumers.recording.facts import consents_document
from civicbus_consumers.recording.pages import Stamp

SYSTEM = "lookup"
OBLIGATIONS: Mapping[Access, tuple[str, ...]] = {
    Access.ORDINARY: (),
    Access.BREAK_GLASS: ("review-within-24h",),
    Access.DEFERRED: ("hidden-until-case-closed",),
}
"""What is owed for an answer, by the access of its agreement."""

_KINDS = {
    Access.ORDINARY: RecordKind.ACCESS_DECISION,
    Access.BREAK_GLASS: RecordKind.ACCESS_DECISION,
    Access.DEFERRED: RecordKind.ACCESS_DEFERRED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all records of one look-up share.

    `secret` is sealed with the record about the person asked about, `secret_of_others` with those
    about further persons: these do not keep the first one's name.
    """

    actor: Actor
    request: Request
    purpose: str
    policy: PolicyVersion
    positions: Positions
    secret: bytes
    secret_of_others: bytes


def asking(token: Token, request: LookupRequest) -> tuple[Subject, Subject]:
    """Who asks and in which case, as the vault knows them."""
    return officer(token.agency, request.officer), case(token.agency, request.case)


def ground_of(
    token: Token,
    request: LookupRequest,
    *,
    person: Person | None,
    consents: SubjectConsents,
    reserved: frozenset[str] = frozenset(),
    policy: PolicyVersion,
    positions: Positions,
    trace: str | None,
    secrets: Secrets,
) -> Ground:
    """The ground of a look-up; `secrets` are those of officer and case, at least."""
    read = consents_document(consents.about(token.agency, request.purpose), reserved=reserved)
    asker = {"officer": request.officer, "case": request.case}
    if request.break_glass is not None:
        asker["break_glass"] = request.break_glass
    who, matter = (secrets[one].pseudonym for one in asking(token, request))
    return Ground(
        actor=Actor(agency=token.agency, system=SYSTEM, officer=who),
        request=Request(jti=token.jti, trace=trace, case=matter),
        purpose=request.purpose,
        policy=policy,
        positions=positions,
        secret=canonical_json(asker | {"facts": _facts(request, person)} | read),
        secret_of_others=canonical_json(asker),
    )


def outcome_under(access: Access) -> Outcome:
    """How an answer under such an agreement is recorded."""
    return Outcome.BREAKGLASS if access is Access.BREAK_GLASS else Outcome.PERMIT


def record_verdict(
    ground: Ground,
    verdict: Verdict,
    *,
    under: Secret,
    fields: tuple[str, ...],
    result: bytes | None,
    secret: bytes,
    stamp: Stamp,
) -> Record:
    """The record of one verdict about one person; `result` is what the answer will say.

    It commits to `result` and to `secret`, its sealed part; `under` is the person's.
    """
    refusal = verdict if isinstance(verdict, Refusal) else None
    agreement = verdict.agreement
    access = Access.ORDINARY if agreement is None else agreement.access
    return Record(
        **stamp.marks(secret),
        kind=_KINDS[access],
        actor=ground.actor,
        recipient=ground.actor.agency,
        subject=under.pseudonym,
        agreement=agreement.ref if agreement else None,
        positions=ground.positions,
        dataset=VIEW,
        fields=fields,
        purpose=ground.purpose,
        basis=agreement.basis if agreement else None,
        consent=str(verdict.consent) if verdict.consent else None,
        decision=Outcome.DENY if refusal else outcome_under(access),
        reason=refusal.reason if refusal else None,
        rule=refusal.rule if refusal else None,
        policy=ground.policy,
        obligations=() if refusal else OBLIGATIONS[access],
        rows=0 if result is None else 1,
        size_bytes=0 if result is None else len(result),
        payload_hash=None if result is None else commitment(stamp.salt, result),
        req=ground.request,
    )


def _facts(request: LookupRequest, person: Person | None) -> dict[str, Any]:
    """What was asked, and what the view said of the person's identity.

    The PIN is left out: the record names the person by pseudonym.
    """
    asked: dict[str, Any] = {
        "full_name": request.full_name,
        "date_of_birth": request.date_of_birth.isoformat(),
        "mode": request.mode.value,
        "fields": list(request.fields),
        "claims": dict(request.claims),
        **({"breaks_glass": True} if request.breaks_glass else {}),
    }
    found = None if person is None else {p: _text(person.values[p]) for p in _IDENTITY}
    return {"asked": asked, "found": found}


_IDENTITY = ("full_name", "date_of_birth")


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
