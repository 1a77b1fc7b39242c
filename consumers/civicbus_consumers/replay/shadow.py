"""Which past decisions would be others under another policy set. Pure.

The same facts, consents and times are judged on the other set. What that set asks for beyond what
was read then cannot be told, and is counted by what is missing: nothing is guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.decision import Deny
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import ConsentRule, Reason

from civicbus_consumers.access.plan import PlannedRelease, PlannedType
from civicbus_consumers.explain.rules import Law
from civicbus_consumers.lookup.rules import Grant
from civicbus_consumers.recording.facts import Sealed
from civicbus_consumers.replay.past import Past, PastEvent, find_event, read_look_up
from civicbus_consumers.replay.rules import LawOf


class Way(StrEnum):
    """What becomes of a field."""

    GAINED = "gained"
    LOST = "lost"


class Untold(StrEnum):
    """Why it cannot be told what the other set would have decided."""

    FACTS = "facts-not-read-then"
    CONSENTS = "consents-not-read-then"
    ERASED = "sealed-part-erased-or-broken"
    NO_POLICY = "policy-set-not-found"
    OTHER_FORM = "sealed-in-another-form"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Flip:
    """One field that an agreement (without its version) gains or loses.

    `reason` is why it is refused: by the other set where it is lost, then where it is gained.
    """

    agreement: str
    field: str
    way: Way
    reason: str


@dataclass(slots=True, kw_only=True)
class Shadow:
    """What a shadow run counted, in decisions about one person each."""

    decisions: int = 0
    flipped: int = 0
    flips: Counter[Flip] = field(default_factory=Counter)
    untold: Counter[Untold] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The fields about one person that are seen, or why none is."""

    fields: frozenset[str] = frozenset()
    reason: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What was seen under an agreement then, and what would be."""

    agreement: str
    then: Sight
    now: Sight


def shadow(pasts: Iterable[Past], law_of: LawOf, other: Law) -> Shadow:
    """Every past decision under the other set, counted."""
    counted = Shadow()
    before: Past | None = None
    for past in pasts:
        if past.is_further(before):
            continue  # as the decision before it, which was about the same request
        counted.decisions += 1
        seen = list(_seen(past, before, law_of=law_of, other=other))
        counted.untold.update(found for found in seen if isinstance(found, Untold))
        flips = [flip for found in seen if isinstance(found, Pair) for flip in _flips(found)]
        counted.flips.update(flips)
        counted.flipped += bool(flips)
        before = past
    return counted


def _flips(pair: Pair) -> Iterator[Flip]:
    for way, fields, reason in (
        (Way.LOST, pair.then.fields - pair.now.fields, pair.now.reason),
        (Way.GAINED, pair.now.fields - pair.then.fields, pair.then.reason),
    ):
        why = reason or Reason.FIELD_NOT_IN_AGREEMENT
        for path in fields:
            yield Flip(agreement=pair.agreement, field=path, way=way, reason=why)


def _seen(past: Past, before: Past | None, *, law_of: LawOf, other: Law) -> Iterator[Pair | Untold]:
    record, sealed = past.record, past.sealed
    law = None if record.policy is None else law_of(record.policy)
    if sealed is None:
        yield Untold.ERASED
    elif law is None:
        yield Untold.NO_POLICY
    else:
        try:
            if record.event is None:
                yield _look_up_seen(past, sealed, other)
            else:
                yield from _event_seen(past, before, sealed=sealed, law=law, other=other)
        except InvalidBytes:
            yield Untold.OTHER_FORM


def _look_up_seen(past: Past, sealed: Sealed, other: Law) -> Pair:
    """A look-up sealed all consents for its recipient and purpose: it can always be told."""
    asked = read_look_up(past, sealed)
    verdict, fields = asked.judge(other.reads), frozenset(asked.request.fields)
    permitted = past.record.decision.discloses
    ref = past.record.agreement or (None if verdict.agreement is None else verdict.agreement.ref)
    return Pair(
        agreement="none" if ref is None else ref.id,
        then=Sight(fields=fields) if permitted else Sight(reason=past.record.reason),
        now=Sight(fields=fields) if isinstance(verdict, Grant) else Sight(reason=verdict.reason),
    )


def _event_seen(
    past: Past, before: Past | None, *, sealed: Sealed, law: Law, other: Law
) -> Iterator[Pair | Untold]:
    """The record's agreement under the other set; and, once an event, agreements that it adds."""
    record = past.record
    was = find_event(past, sealed, law.releases)
    event = find_event(past, sealed, other.releases)
    known = {} if was is None else {p.agreement.ref: p for p in was.type_.releases}
    planned = None if record.agreement is None else known.get(record.agreement)
    if planned is None:
        yield Untold.OTHER_FORM
        return
    id_, about = planned.agreement.ref.id, _about_whom(planned, record)
    permitted = record.decision.discloses
    then = Sight(fields=frozenset(record.fields)) if permitted else Sight(reason=record.reason)
    now = _now(event, id_, about=about, then=planned.agreement)
    yield now if isinstance(now, Untold) else Pair(agreement=id_, then=then, now=now)
    if event is None or (before is not None and before.record.event == record.event):
        return
    ids = {ref.id for ref in known}
    for added in sorted({p.agreement.ref.id for p in event.type_.releases} - ids):
        now = _now(event, added, about=about, then=planned.agreement)
        nothing = Sight(reason=Reason.NO_AGREEMENT)
        yield now if isinstance(now, Untold) else Pair(agreement=added, then=nothing, now=now)


def _about_whom(planned: PlannedRelease, record: Record) -> str:
    """The name of the subject whom the record is about; the key's where two have no fields."""
    return next(
        (name for name, fields in planned.people if fields == record.fields), planned.people[0][0]
    )


def _now(event: PastEvent | None, id_: str, *, about: str, then: Agreement) -> Sight | Untold:
    """What the other set's agreement of that id shows; of its versions the one that binds."""
    versions = [] if event is None else [
        planned for planned in event.type_.releases if planned.agreement.ref.id == id_
    ]  # fmt: skip
    if event is None or not versions:
        return Sight(reason=Reason.NO_AGREEMENT)
    lapses = {planned.agreement.lapse(event.past.record.at): planned for planned in versions}
    if None not in lapses:
        return Sight(reason=next(iter(lapses)))
    planned = lapses[None]
    if not _read(planned, event.type_) <= event.facts.values.keys():
        return Untold.FACTS
    decision = event.judge(planned)
    if isinstance(decision, Deny) and decision.reason in _BEFORE_CONSENT:
        return Sight(reason=decision.reason)
    if planned.agreement.consent is ConsentRule.REQUIRED and not _read_consents(
        planned.agreement, then
    ):
        return Untold.CONSENTS
    if isinstance(decision, Deny):
        return Sight(reason=decision.reason)
    return Sight(fields=frozenset(dict(planned.people).get(about, ())))


_BEFORE_CONSENT = (Reason.FORBIDDEN_BY_RULE, Reason.CONDITION_NOT_MET)


def _read(planned: PlannedRelease, type_: PlannedType) -> set[str]:
    """The paths that a decision under this agreement reads."""
    paths = {condition.path for condition in planned.release.only_if}
    if planned.bans.depends_on_age and type_.born is not None:
        paths.add(type_.born)
    return paths


def _read_consents(agreement: Agreement, then: Agreement) -> bool:
    """Whether the consents that this agreement needs were read, and sealed, under that one."""
    return then.consent is ConsentRule.REQUIRED and (agreement.recipient, agreement.purpose) == (
        then.recipient,
        then.purpose,
    )
