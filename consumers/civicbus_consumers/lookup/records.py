"""What the record of a look-up says, and what of it is sealed. Pure: ids, salts, times are given.

Officer, case and everything that was asked are sealed; the record holds a pseudonym of the officer,
an opaque id of the case, and those of the fields asked for that the view has.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import date
from typing import Any

from civicbus_schemas.codec import canonical_json
from civicbus_schemas.consent import SubjectConsents
from civicbus_schemas.ids import PolicyVersion
from civicbus_schemas.pseudonym import LedgerPseudonym, officer_pseudonym
from civicbus_schemas.record import Actor, Positions, Record, Request, commitment
from civicbus_schemas.vocabulary import Outcome, RecordKind

from civicbus_consumers.lookup.request import LookupRequest
from civicbus_consumers.lookup.rules import VIEW, Person, Refusal, Verdict
from civicbus_consumers.lookup.token import Token
from civicbus_consumers.recording.facts import consents_document
from civicbus_consumers.recording.pages import Stamp

SYSTEM = "lookup"


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
    ledger_key: bytes,
) -> Ground:
    """The ground of a look-up; the officer's and the case's names are keyed with `ledger_key`."""
    read = consents_document(consents.about(token.agency, request.purpose), reserved=reserved)
    asker = {"officer": request.officer, "case": request.case}
    officer = officer_pseudonym(ledger_key, token.agency, request.officer)
    return Ground(
        actor=Actor(agency=token.agency, system=SYSTEM, officer=officer),
        request=Request(jti=token.jti, trace=trace, case=_case(ledger_key, token, request.case)),
        purpose=request.purpose,
        policy=policy,
        positions=positions,
        secret=canonical_json(asker | {"facts": _facts(request, person)} | read),
        secret_of_others=canonical_json(asker),
    )


def record_verdict(
    ground: Ground,
    verdict: Verdict,
    *,
    subject: LedgerPseudonym,
    fields: tuple[str, ...],
    result: bytes | None,
    secret: bytes,
    stamp: Stamp,
) -> Record:
    """The record of one verdict about one person; `result` is what the answer will say.

    It commits to `result` and to `secret`, its sealed part.
    """
    refusal = verdict if isinstance(verdict, Refusal) else None
    agreement = verdict.agreement
    return Record(
        id=stamp.id,
        nonce=stamp.nonce,
        kind=RecordKind.ACCESS_DECISION,
        at=stamp.at,
        actor=ground.actor,
        recipient=ground.actor.agency,
        subject=subject,
        agreement=agreement.ref if agreement else None,
        positions=ground.positions,
        dataset=VIEW,
        fields=fields,
        purpose=ground.purpose,
        basis=agreement.basis if agreement else None,
        consent=str(verdict.consent) if verdict.consent else None,
        decision=Outcome.DENY if refusal else Outcome.PERMIT,
        reason=refusal.reason if refusal else None,
        rule=refusal.rule if refusal else None,
        policy=ground.policy,
        rows=0 if result is None else 1,
        size_bytes=0 if result is None else len(result),
        payload_hash=None if result is None else commitment(stamp.salt, result),
        req=ground.request,
        sealed=commitment(stamp.salt, secret),
    )


def _case(ledger_key: bytes, token: Token, case: str) -> str:
    message = f"case\x00{token.agency}\x00{case}".encode()
    return hmac.digest(ledger_key, message, hashlib.sha256)[:16].hex()


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
    }
    found = None if person is None else {p: _text(person.values[p]) for p in _IDENTITY}
    return {"asked": asked, "found": found}


_IDENTITY = ("full_name", "date_of_birth")


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
