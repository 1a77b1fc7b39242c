"""Pages in, flags out: what each page raises, closes and teaches. Pure.

The same pages in the same order give the same flags, in whatever batches they come; a flag's id is
made of its word and the record that raised it. Per officer, word and day there is one flag.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import FLAG_KINDS, Outcome, Reason, RecordKind

from civicbus_consumers.flags.deadlines import (
    REVIEW_WITHIN,
    chain_of,
    expect_release,
    settle,
    settle_review,
    tick,
)
from civicbus_consumers.flags.explaining import (
    Reading,
    contact_key,
    explain,
)
from civicbus_consumers.flags.findings import Finding, Folded, Labelled, PageTold
from civicbus_consumers.flags.judging import finding, judge, remember
from civicbus_consumers.flags.memory import PENDING, Flagged, Memory
from civicbus_consumers.flags.reference import Reference
from civicbus_consumers.flags.signals import WEIGHTS, Signal
from civicbus_consumers.flags.usual import moment_of
from civicbus_consumers.flags.words import LABELS, Closing, Flag, Label

DAYS_OF_AN_AGENCY = 400
CONTACTS = (RecordKind.CONSENT_REQUEST, RecordKind.CONSENT_GIVE, RecordKind.CONSENT_RENEW)


def keys_of(pages: Iterable[PageTold]) -> set[str]:
    """Everything that these pages may need remembered."""
    keys = {PENDING}
    for page in pages:
        keys.add(_recorder_key(page))
        for record in page.records:
            keys |= set(_keys(record))
    return keys


def _keys(record: Record) -> Iterator[str]:
    yield f"agency/{record.actor.agency}"
    if record.actor.officer is not None:
        yield f"officer/{record.actor.officer}"
    if record.subject is not None:
        yield contact_key(record.recipient or record.actor.agency, record.subject)
    if record.req is not None and record.req.case is not None:
        yield f"case/{record.req.case}"
    if record.consent is not None:
        yield consent_key(record.consent)
    if record.kind in FLAG_KINDS:
        yield f"flag/{_flag_of(record)}"


def _recorder_key(page: PageTold) -> str:
    return f"recorder/{chain_of(page.header, page.header.recorder)}"


def _is_new(page: PageTold, memory: Memory) -> bool:
    """Whether it follows all pages of its recorder that were taken in; then it is the newest."""
    key, sequence = _recorder_key(page), page.header.sequence
    newest = memory.noted(key)
    if newest is not None and sequence <= newest:
        return False
    memory.note(key, sequence)
    return True


def further_keys(memory: Memory) -> set[str]:
    """What the flags that were remembered need besides: the officers that they are about."""
    flags = [document for document in memory.documents.values() if isinstance(document, Flagged)]
    return {f"officer/{flag.officer}" for flag in flags if flag.officer}


def consent_key(consent: str) -> str:
    """Where it is remembered at which position a consent is known as withdrawn."""
    return f"consent/{consent.rpartition('@')[0]}"


def fold(pages: Iterable[PageTold], memory: Memory, reference: Reference) -> Folded:
    """Take in pages in the topic's order.

    A page that was taken in before, or comes behind its successor, is passed over; the ledger
    tells of it. 1. What was due before a page is late. 2. The header settles what it says is
    released. 3. Each record is judged by what was known before it, and then remembered. 4. What
    the page discloses is to be released in time.
    """
    folded = Folded()
    for page in pages:
        if not _is_new(page, memory):
            continue
        tick(page.at, memory, folded, reference=reference)  # 1
        settle(page.header, memory, folded, at=page.at)  # 2
        for record in page.records:
            folded.raised += _take(record, page, memory, folded=folded, reference=reference)  # 3
        expect_release(page, memory)  # 4
    return folded


def _take(
    record: Record, page: PageTold, memory: Memory, *, folded: Folded, reference: Reference
) -> Iterator[Finding]:
    """What one record raises; then it is remembered."""
    match record.kind:
        case RecordKind.ACCESS_DECISION | RecordKind.ACCESS_DEFERRED:
            yield from _decision(record, page, memory, folded=folded, reference=reference)
        case kind if kind in CONTACTS and record.subject and record.recipient:
            note = contact_key(record.recipient, record.subject)
            memory.note(note, moment_of(page.at).seconds)
        case RecordKind.WITHDRAWAL_TOLD:
            _note_withdrawn(record, memory)
        case RecordKind.CASE_CLOSED if record.req is not None and record.req.case is not None:
            memory.note(f"case/{record.req.case}", moment_of(page.at).seconds)
        case RecordKind.OFFICER_QUERY if record.reason is Reason.CASE_MISSING:
            found = finding(Signal(flag=Flag.NO_CASE), record, page.at, reference=reference)
            yield replace(found, score=WEIGHTS[Flag.NO_CASE].points)
        case RecordKind.BREAK_GLASS_REVIEW:
            settle_review(record, memory, folded, at=page.at)
        case RecordKind.FLAG_RAISED | RecordKind.FLAG_CLOSED:
            folded.recorded.add((_flag_of(record), record.kind))
        case RecordKind.FLAG_LABELLED:
            _labelled(record, memory, folded, at=page.at)
        case _:
            pass


def _decision(
    record: Record, page: PageTold, memory: Memory, *, folded: Folded, reference: Reference
) -> Iterator[Finding]:
    now = moment_of(page.at)
    if record.consent is not None:
        yield from _held_against_withdrawal(record, page, memory, reference=reference)
    if record.actor.officer is None:
        if record.decision.discloses and record.subject and record.recipient:
            memory.note(contact_key(record.recipient, record.subject), now.seconds)
        return
    folded.readings += 1
    reading = Reading(
        record=record,
        officer_name=record.actor.officer,
        now=now,
        officer=memory.officer(record.actor.officer),
        agency=memory.agency(record.actor.agency),
    )
    reading.officer.forget_before(now)
    former = reading.officer.unexplained.turn_to(now.day)
    if former is not None:
        reading.agency.unexplained.learn(former, remembered=DAYS_OF_AN_AGENCY)
    explanations = frozenset(explain(reading, memory, reference))
    reading = replace(reading, explanations=explanations)
    yield from judge(reading, memory, reference)
    remember(reading)
    if record.decision is Outcome.BREAKGLASS:
        due = int((page.at + REVIEW_WITHIN).timestamp())
        asked = [due, record.actor.agency, record.actor.officer, record.subject]
        memory.pending().emergencies[str(record.id)] = asked


def _held_against_withdrawal(
    record: Record, page: PageTold, memory: Memory, *, reference: Reference
) -> Iterator[Finding]:
    """Positions are compared, not times: a withdrawal binds where it was known (`audit fences`)."""
    known = memory.noted(consent_key(record.consent or ""))
    position = record.positions.consent
    if record.reason is Reason.CONSENT_WITHDRAWN:
        _note_withdrawn(record, memory)
    elif record.decision.discloses and known is not None and (position or 0) >= known:
        signal = Signal(flag=Flag.WITHDRAWN_CONSENT)
        found = finding(signal, record, page.at, reference=reference)
        yield replace(found, score=WEIGHTS[Flag.WITHDRAWN_CONSENT].points)


def _note_withdrawn(record: Record, memory: Memory) -> None:
    if record.consent is None or record.positions.consent is None:
        return
    key = consent_key(record.consent)
    known = memory.noted(key)
    position = record.positions.consent
    memory.note(key, position if known is None else min(known, position))


def _flag_of(record: Record) -> str:
    about = "" if record.req is None else record.req.id or ""
    return f"{record.rule}-{about}"


def _labelled(record: Record, memory: Memory, folded: Folded, *, at: datetime) -> None:
    """A label teaches: the same of the same officer weighs less, or more, from now on.

    Nobody labels a flag of their own agency: what such a leaf says counts for nothing.
    """
    label, flag = LABELS.get(record.decision), _flag_of(record)
    flagged, by = memory.flag(flag), record.actor.officer
    if label is None or record.rule is None or flagged.agency == record.actor.agency:
        return
    folded.labelled.append(Labelled(flag=flag, label=label, record=str(record.id), at=at, by=by))
    if label is not Label.UNSURE:
        folded.closed.append((flag, Closing.LABELLED, at))
    if flagged.officer:
        counts = memory.officer(flagged.officer).labels.setdefault(record.rule, [0, 0])
        _count(counts, flagged.label, -1)
        _count(counts, label, +1)
    flagged.label = label


def _count(counts: list[int], label: str, step: int) -> None:
    """Of each flag the newest label counts, so that saying it twice teaches nothing more."""
    if label in (Label.BENIGN, Label.CONFIRMED):
        counts[label == Label.CONFIRMED] += step
