"""What the ledger says of a question asked of it, and what of it is sealed. Pure.

The record names the asker by pseudonym and role, the person asked about by pseudonym, purpose, an
opaque case and the members that were asked by; names, case and the question itself are sealed, and
the record commits to both.
"""

from __future__ import annotations

from collections.abc import Iterator

from civicbus_schemas.codec import canonical_json
from civicbus_schemas.record import Actor, Record, Request, commitment
from civicbus_schemas.subject import Secrets, Subject, case, officer, person
from civicbus_schemas.vocabulary import Outcome, RecordKind

from civicbus_consumers.officers.request import canonical
from civicbus_consumers.officers.rules import (
    Asker,
    Citizen,
    Denied,
    Find,
    Official,
    Question,
    Verdict,
)
from civicbus_consumers.officers.token import Pass
from civicbus_consumers.recording.pages import Stamp

SYSTEM = "officers"
TWO_OFFICIALS = "two-officials"


def secret_of(asker: Asker, question: Question) -> bytes:
    """What is sealed: the official's name, the case, and the question in its one spelling."""
    name = None if isinstance(asker, Citizen) else asker.name
    asked = canonical(question).decode()
    return canonical_json({"officer": name, "case": question.case, "question": asked})


def record_query(
    holder: Pass,
    question: Question,
    verdict: Verdict,
    *,
    secrets: Secrets,
    stamp: Stamp,
    kind: RecordKind | None = None,
) -> Record:
    """The record of one question, made before anything was read for it; `kind` if it is another."""
    asker, find = holder.asker, question.find
    agency = asker.agency
    about = about_whom(asker, question)
    return Record(
        **stamp.marks(secret_of(asker, question)),
        kind=kind or _kind(asker),
        actor=Actor(
            agency=agency, system=SYSTEM, role=asker.role, officer=officer_of(asker, secrets)
        ),
        recipient=agency,
        subject=None if about is None else secrets[about].pseudonym,
        fields=tuple(name for name in sorted(Find.__slots__) if getattr(find, name) is not None),
        purpose=question.purpose,
        decision=Outcome.DENY if isinstance(verdict, Denied) else Outcome.PERMIT,
        reason=verdict.reason if isinstance(verdict, Denied) else None,
        rule=None if question.approval is None else TWO_OFFICIALS,
        payload_hash=commitment(stamp.salt, canonical(question)),
        req=Request(
            jti=holder.jti,
            id=_about_question(question, secrets),
            case=question.case and secrets[case(agency, question.case)].pseudonym,
        ),
    )


def _about_question(question: Question, secrets: Secrets) -> str | None:
    """Which saved query it was, or by which name in records its approver goes."""
    if question.saved is not None:
        return str(question.saved)
    if question.approval is not None:
        return secrets[who(question.approval.by)].pseudonym
    return None


def _kind(asker: Asker) -> RecordKind:
    citizen = isinstance(asker, Citizen)
    return RecordKind.CITIZEN_QUERY if citizen else RecordKind.OFFICER_QUERY


def about_whom(asker: Asker, question: Question) -> Subject | None:
    """The person whom a question is about; a citizen asks about himself."""
    pin = asker.pin if isinstance(asker, Citizen) else question.find.pin
    return None if pin is None else person(pin)


def subjects_of(asker: Asker, question: Question) -> Iterator[Subject]:
    """Everybody and everything that a question and its record name."""
    find = question.find
    yield who(asker)
    if question.approval is not None:
        yield who(question.approval.by)
    if (about := about_whom(asker, question)) is not None:
        yield about
    if question.case is not None:
        yield case(asker.agency, question.case)
    if find.pin is not None:
        yield person(find.pin)
    if find.agency is not None and find.officer is not None:
        yield officer(find.agency, find.officer)
    if find.agency is not None and find.case is not None:
        yield case(find.agency, find.case)


def who(asker: Asker) -> Subject:
    """The asker as the vault knows him."""
    match asker:
        case Citizen(pin=pin):
            return person(pin)
        case Official(agency=agency, name=name):
            return officer(agency, name)


def officer_of(asker: Asker, secrets: Secrets) -> str | None:
    """The official's name in records; a citizen is no official."""
    if isinstance(asker, Citizen):
        return None
    return secrets[who(asker)].pseudonym


def handle_of(asker: Asker) -> str:
    """What cursors and tickets of this asker are bound to; it is under a MAC and never shown."""
    name = asker.pin.number if isinstance(asker, Citizen) else asker.name
    return f"{asker.role}:{asker.agency}:{name}"
