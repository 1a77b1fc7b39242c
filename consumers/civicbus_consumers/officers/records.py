"""What the ledger says of a question asked of it, and what of it is sealed. Pure.

The record names the asker by pseudonym and role, the person asked about by pseudonym, purpose, an
opaque case and the members that were asked by; names, case and the question itself are sealed, and
the record commits to both.
"""

from __future__ import annotations

from civicbus_schemas.codec import canonical_json
from civicbus_schemas.pseudonym import case_pseudonym, ledger_pseudonym, officer_pseudonym
from civicbus_schemas.record import Actor, Record, Request, commitment
from civicbus_schemas.vocabulary import Outcome, RecordKind

from civicbus_consumers.officers.request import canonical
from civicbus_consumers.officers.rules import Asker, Citizen, Denied, Find, Question, Verdict
from civicbus_consumers.officers.token import Pass
from civicbus_consumers.recording.pages import Stamp

SYSTEM = "officers"


def secret_of(asker: Asker, question: Question) -> bytes:
    """What is sealed: the official's name, the case, and the question in its one spelling."""
    name = None if isinstance(asker, Citizen) else asker.name
    asked = canonical(question).decode()
    return canonical_json({"officer": name, "case": question.case, "question": asked})


def record_query(
    holder: Pass, question: Question, verdict: Verdict, *, ledger_key: bytes, stamp: Stamp
) -> Record:
    """The record of one question, made before anything was read for it."""
    asker, find = holder.asker, question.find
    agency = asker.agency
    about = asker.pin if isinstance(asker, Citizen) else find.pin
    return Record(
        id=stamp.id,
        nonce=stamp.nonce,
        kind=_kind(asker),
        at=stamp.at,
        actor=Actor(
            agency=agency, system=SYSTEM, role=asker.role, officer=officer_of(asker, ledger_key)
        ),
        recipient=agency,
        subject=None if about is None else ledger_pseudonym(ledger_key, about),
        fields=tuple(name for name in sorted(Find.__slots__) if getattr(find, name) is not None),
        purpose=question.purpose,
        decision=Outcome.DENY if isinstance(verdict, Denied) else Outcome.PERMIT,
        reason=verdict.reason if isinstance(verdict, Denied) else None,
        payload_hash=commitment(stamp.salt, canonical(question)),
        req=Request(
            jti=holder.jti,
            case=question.case and case_pseudonym(ledger_key, agency, question.case),
        ),
        sealed=commitment(stamp.salt, secret_of(asker, question)),
    )


def _kind(asker: Asker) -> RecordKind:
    citizen = isinstance(asker, Citizen)
    return RecordKind.CITIZEN_QUERY if citizen else RecordKind.OFFICER_QUERY


def officer_of(asker: Asker, ledger_key: bytes) -> str | None:
    """The official's name in records; a citizen is no official."""
    if isinstance(asker, Citizen):
        return None
    return officer_pseudonym(ledger_key, asker.agency, asker.name)


def handle_of(asker: Asker, ledger_key: bytes) -> str:
    """What cursors and tickets of this asker are bound to."""
    name = officer_of(asker, ledger_key)
    if isinstance(asker, Citizen):
        name = ledger_pseudonym(ledger_key, asker.pin)
    return f"{asker.role}:{asker.agency}:{name}"
