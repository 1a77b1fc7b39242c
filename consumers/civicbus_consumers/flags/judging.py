"""One reading: which of its signals weigh enough, and what is remembered of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import Outcome

from civicbus_consumers.flags.explaining import PEAK_OF_ONE, PEOPLE_OF_A_CASE, Reading
from civicbus_consumers.flags.findings import Finding
from civicbus_consumers.flags.memory import MAX_DUTIES, Memory
from civicbus_consumers.flags.reference import Reference
from civicbus_consumers.flags.signals import NOT_FOUND, WEIGHTS, Signal, duty_of, signals
from civicbus_consumers.flags.words import Explanation

RAISED_AT = 50
"""Points from which on officers are told."""
IN_COMPANY, PER_LABEL, MOST_BY_LABELS = 15, 15, 45


def judge(reading: Reading, memory: Memory, reference: Reference) -> Iterator[Finding]:
    """The signals of a reading that weigh enough, one of a kind for an officer and a day."""
    odd = list(signals(reading, memory, reference))
    for signal in odd:
        score, explanations = _score(signal, reading, company=len(odd) - 1)
        newest = reading.officer.raised.get(signal.flag)
        if score < RAISED_AT or newest == reading.now.day:
            continue
        reading.officer.raised[signal.flag] = reading.now.day
        found = finding(signal, reading.record, reading.now.at, reference=reference)
        memory.remember_flag(found.id, agency=found.agency, officer=reading.officer_name)
        yield replace(found, score=score, explanations=explanations)


def _score(
    signal: Signal, reading: Reading, *, company: int
) -> tuple[int, tuple[Explanation, ...]]:
    """Points that remain after explanations and labels, and which of those counted."""
    weight = WEIGHTS[signal.flag]
    heeded = [e for e in Explanation if e in reading.explanations and e in weight.relief]
    points = weight.points + signal.extra + IN_COMPANY * min(company, 2)
    points -= sum(weight.relief[explanation] for explanation in heeded)
    benign, confirmed = reading.officer.labels.get(signal.flag, (0, 0))
    if benign:
        points -= min(MOST_BY_LABELS, PER_LABEL * benign)
        heeded.append(Explanation.LABELLED_BENIGN)
    if confirmed:
        points += min(MOST_BY_LABELS, PER_LABEL * confirmed)
        heeded.append(Explanation.LABELLED_CONFIRMED)
    return max(0, min(100, points)), tuple(heeded)


def finding(signal: Signal, record: Record, at: datetime, *, reference: Reference) -> Finding:
    """What this signal of this record comes to, before it is weighed."""
    return Finding(
        flag=signal.flag,
        record=str(record.id),
        at=at,
        raised_at=at,
        agency=record.actor.agency,
        officer=record.actor.officer,
        subject=record.subject,
        score=0,
        count=signal.count,
        usual=signal.usual,
        reference=reference.version,
    )


def remember(reading: Reading) -> None:
    """Take the reading into the roll-ups of its officer and agency."""
    record, now, officer, agency = reading.record, reading.now, reading.officer, reading.agency
    officer.weekly.add(now)
    if officer.weekly.now(now) <= PEAK_OF_ONE:
        agency.weekly.add(now)
    officer.last, officer.total = now.seconds, officer.total + 1
    if record.decision is Outcome.DENY:
        missed = record.reason in NOT_FOUND
        officer.refused.append([now.seconds, reading.person, record.purpose, missed])
        return
    if record.decision is not Outcome.BREAKGLASS:  # an emergency is nobody's duty
        _remember_duty(reading)
    if reading.case is not None:
        people = officer.cases.setdefault(reading.case, [])
        if reading.person not in people and len(people) < PEOPLE_OF_A_CASE:
            people.append(reading.person)
    if reading.connected:
        hour, count = officer.explained
        officer.explained = [now.hour, count + 1 if hour == now.hour else 1]
    else:
        _remember_unexplained(reading)


def _remember_duty(reading: Reading) -> None:
    duties, duty = reading.officer.duties, duty_of(reading)
    if duty in duties or len(duties) < MAX_DUTIES:
        duties[duty] = duties.get(duty, 0) + 1


def _remember_unexplained(reading: Reading) -> None:
    officer, now = reading.officer, reading.now
    if reading.person not in {entry[1] for entry in officer.recent}:
        officer.unexplained.count += 1
    officer.recent.append([now.seconds, reading.person])
