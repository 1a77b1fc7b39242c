"""Whether an act upon a consent is accepted. Pure.

Judged in the order: may this agency ask it, is it about this consent, what was shown, the person,
the signer, the time. Nothing is consented to by default or silence: an act names its signer and the
hash of the text he was shown, and what nobody answers expires.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time
from typing import assert_never

from civicbus_schemas.agreement import NATION_ZONE, local_day
from civicbus_schemas.vocabulary import ConsentAct, Reason

from civicbus_consumers.access.answers import age_on
from civicbus_consumers.access.decide import MAJORITY_YEARS
from civicbus_consumers.consent.registry.acts import (
    Accepted,
    Alter,
    Demand,
    Give,
    Held,
    Person,
    Refused,
    Repeated,
    Request,
    Signer,
    Situation,
    Standing,
    Terms,
    Verdict,
)

_LIVE = (Standing.GIVEN, Standing.PAUSED)
# From which standings an act leads where. Renewing revives what expired, never what was withdrawn.
_MOVES = {
    ConsentAct.REFUSE: ((Standing.REQUESTED, Standing.EXPIRED), Standing.REFUSED),
    ConsentAct.RENEW: ((Standing.GIVEN, Standing.EXPIRED), Standing.GIVEN),
    ConsentAct.PAUSE: ((Standing.GIVEN,), Standing.PAUSED),
    ConsentAct.RESUME: ((Standing.PAUSED,), Standing.GIVEN),
    ConsentAct.WITHDRAW: ((*_LIVE, Standing.EXPIRED), Standing.WITHDRAWN),
}
_UNVERSIONED = {ConsentAct.REFUSE, ConsentAct.WITHDRAW}


def judge(demand: Demand, situation: Situation) -> Verdict:
    """Accepted, repeated or refused."""
    match demand:
        case Request():
            return _judge_request(demand, situation)
        case Give():
            return _judge_giving(demand, situation)
        case Alter():
            return _judge_change(demand, situation)
        case _:
            assert_never(demand)


def majority(born: date) -> datetime:
    """The instant at which a person becomes of age: midnight of the 18th birthday."""
    try:
        day = born.replace(year=born.year + MAJORITY_YEARS)
    except ValueError:  # 29 February
        day = date(born.year + MAJORITY_YEARS, 3, 1)
    return datetime.combine(day, time(), NATION_ZONE)


def _judge_request(demand: Request, s: Situation) -> Verdict:
    terms, subject = demand.terms, s.subject
    if s.asker != terms.recipient:
        return Refused(reason=Reason.NOT_YOURS)
    refusal = _terms_refusal(terms, s)
    if refusal is None and (
        subject is None
        or not subject.is_person(full_name=demand.full_name, date_of_birth=demand.date_of_birth)
    ):
        refusal = Reason.SUBJECT_NOT_FOUND
    if refusal is None and _is_dead(subject, s):
        refusal = Reason.SUBJECT_DECEASED
    if refusal is not None:
        return _refused(refusal, terms, s)
    asked = Held(
        id=demand.id,
        version=0,
        subject=s.subject_name,
        terms=terms,
        standing=Standing.REQUESTED,
        act=ConsentAct.REQUEST,
        since=s.at,
        answer_by=demand.answer_by,
    )
    if s.held is None:
        return Accepted(after=asked) if s.at < demand.answer_by else _never()
    if replace(asked, since=s.held.since) == s.held:
        return Repeated(held=s.held)
    return Refused(reason=Reason.CONSENT_STANDS_OTHERWISE)


def _judge_giving(demand: Give, s: Situation) -> Verdict:
    if s.asker != s.registrar:
        return Refused(reason=Reason.NOT_YOURS)
    refusal = (
        _terms_refusal(demand.terms, s)
        or _text_refusal(demand.terms, demand.shown, s)
        or _person_refusal(demand.signer, s)
        or _rules_refusal(demand.terms, demand.signer.eid_level, s)
    )
    if refusal is not None:
        return _refused(refusal, demand.terms, s)
    given = Held(
        id=demand.id,
        version=1,
        subject=s.subject_name,
        terms=_until_majority(demand.terms, s),
        standing=Standing.GIVEN,
        act=ConsentAct.GIVE,
        since=s.at,
        answer_by=s.held.answer_by if s.held else None,
        signer=s.signer_name,
        shown=demand.shown,
    )
    held = s.held
    if held is not None and replace(given, since=held.since) == held:
        return Repeated(held=held)
    if given.standing_at(s.at) is Standing.EXPIRED:
        return _never()
    refusal = _request_refusal(held, given, s.at)
    return Accepted(after=given) if refusal is None else Refused(reason=refusal)


def _request_refusal(held: Held | None, given: Held, at: datetime) -> Reason | None:
    """A citizen may give less than was asked for, not more, and not too late."""
    if held is None:
        return None
    asked = held.terms
    same = (asked.recipient, asked.purpose) == (given.terms.recipient, given.terms.purpose)
    fits = held.subject == given.subject and same and given.terms.fields <= asked.fields
    if held.standing is not Standing.REQUESTED or not fits:
        return Reason.CONSENT_STANDS_OTHERWISE
    return None if held.standing_at(at) is Standing.REQUESTED else Reason.REQUEST_EXPIRED


def _judge_change(demand: Alter, s: Situation) -> Verdict:
    held = s.held
    if s.asker != s.registrar:
        return Refused(reason=Reason.NOT_YOURS)
    if held is None or held.subject != s.subject_name:
        return Refused(reason=Reason.CONSENT_NOT_FOUND)
    if demand.signer is not None and (refusal := _person_refusal(demand.signer, s)) is not None:
        return Refused(reason=refusal)
    before, to = _MOVES[demand.act]
    terms = held.terms
    if demand.act is ConsentAct.RENEW:
        terms = _until_majority(replace(terms, valid_until=demand.valid_until), s)
    if _is_repeated(demand, held, to=to, terms=terms):
        return Repeated(held=held)
    seen = demand.act in _UNVERSIONED or demand.version == held.version
    wrong_kind = (demand.act is ConsentAct.REFUSE) == bool(held.version)
    if not seen or wrong_kind or held.standing_at(s.at) not in before:
        return Refused(reason=Reason.CONSENT_STANDS_OTHERWISE)
    if demand.act is ConsentAct.RENEW:
        refusal = _renewal_refusal(demand, terms, s)
        if refusal is not None:
            return _refused(refusal, terms, s)
    after = replace(
        held,
        version=held.version + 1 if held.version else 0,
        terms=terms,
        standing=to,
        act=demand.act,
        since=s.at,
        signer=s.signer_name or held.signer,
        shown=demand.shown or held.shown,
    )
    if demand.act is ConsentAct.RENEW and after.standing_at(s.at) is Standing.EXPIRED:
        return _never()
    return Accepted(after=after)


def _is_repeated(demand: Alter, held: Held, *, to: Standing, terms: Terms) -> bool:
    if demand.act in _UNVERSIONED:
        return held.standing is to
    return demand.act is held.act and (demand.version, terms) == (held.version - 1, held.terms)


def _renewal_refusal(demand: Alter, terms: Terms, s: Situation) -> Reason | None:
    level = demand.signer.eid_level if demand.signer else 0
    return (
        _terms_refusal(terms, s)
        or _text_refusal(terms, demand.shown, s)
        or _rules_refusal(terms, level, s)
    )


def _terms_refusal(terms: Terms, s: Situation) -> Reason | None:
    agreement = s.agreements.get((terms.recipient, terms.purpose))
    if agreement is None:
        return Reason.NO_AGREEMENT
    return None if terms.fields <= agreement.fields else Reason.FIELD_NOT_IN_AGREEMENT


def _text_refusal(terms: Terms, shown: str | None, s: Situation) -> Reason | None:
    current = s.agreements[terms.recipient, terms.purpose].hash
    return None if shown == current else Reason.TEXT_OUTDATED


def _is_dead(person: Person | None, s: Situation) -> bool:
    return s.ended or (person is not None and person.values["deceased_on"] is not None)


def _person_refusal(by: Signer, s: Situation) -> Reason | None:
    """Who may sign: a grown and capable person alone, for all others a guardian of theirs."""
    subject, signer = s.subject, s.signer
    if subject is None:
        return Reason.SUBJECT_NOT_FOUND
    if _is_dead(subject, s):
        return Reason.SUBJECT_DECEASED
    if subject.values["date_of_birth"] is None:
        return Reason.NOT_CAPABLE  # nobody can tell who must sign, or when a guardian's word ends
    own = s.signer_name == s.subject_name
    ward = not _is_capable(subject, s.at)
    if own:
        return Reason.NOT_THE_GUARDIAN if ward else None
    if not ward or signer is None or by.pin.number not in guardians(subject):
        return Reason.NOT_THE_GUARDIAN
    alive = signer.values["deceased_on"] is None
    return None if alive and _is_capable(signer, s.at) else Reason.NOT_CAPABLE


def guardians(ward: Person) -> frozenset[str]:
    """Their numbers: the guardian whom a court or an authority appointed, else the parents."""
    values = ward.values
    appointed = values["guardian_pin"]
    named = (appointed,) if appointed else (values["mother_pin"], values["father_pin"])
    return frozenset(number for number in named if number)


def _is_capable(person: Person, at: datetime) -> bool:
    """Of age, and not declared incapable; who has no known age is not."""
    born = person.values["date_of_birth"]
    if born is None or person.values["legal_capacity"] not in {None, "full"}:
        return False
    return age_on(born, local_day(at)) >= MAJORITY_YEARS


def _rules_refusal(terms: Terms, vouched: int, s: Situation) -> Reason | None:
    """What the national rules say of a signature about this person with this eID level.

    The lower of the level that the citizen's side saw and the one that the view holds counts.
    """
    known = None if s.signer is None else s.signer.values["eid_level"]
    needed = _needed_level(terms, s)
    if needed is None:
        return Reason.FORBIDDEN_BY_RULE
    return None if min(vouched, known or 0) >= needed else Reason.EID_LEVEL_TOO_LOW


def _needed_level(terms: Terms, s: Situation) -> int | None:
    born = None if s.subject is None else s.subject.values["date_of_birth"]
    minor = born is None or s.at < majority(born)
    return s.agreements[terms.recipient, terms.purpose].level_for(terms.fields, minor=minor)


def _refused(reason: Reason, terms: Terms, s: Situation) -> Refused:
    match reason:
        case Reason.EID_LEVEL_TOO_LOW:
            return Refused(reason=reason, eid_level=_needed_level(terms, s))
        case Reason.FIELD_NOT_IN_AGREEMENT:
            named = s.agreements[terms.recipient, terms.purpose].fields
            return Refused(reason=reason, fields=tuple(sorted(terms.fields - named)))
        case _:
            return Refused(reason=reason)


def _until_majority(terms: Terms, s: Situation) -> Terms:
    """What a guardian signs for a minor ends when the minor is of age."""
    born = s.subject.values["date_of_birth"] if s.subject else None
    if born is None or s.at >= majority(born):
        return terms
    ends = [end for end in (terms.valid_until, majority(born)) if end is not None]
    return replace(terms, valid_until=min(ends))


def _never() -> Refused:
    return Refused(reason=Reason.NEVER_IN_FORCE)
