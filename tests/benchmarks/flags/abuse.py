"""Seeded abuse: episodes of every kind, by officers who otherwise work like all others.

Nothing here looks at how flags are found. Times, numbers and pretexts vary; some hide among work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import partial

from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind

from tests.benchmarks.flags.offices import EMERGENCY, FIRST_DAY, Officer, at, is_working_day
from tests.benchmarks.flags.work import Diary, busy_hour, emergency

Commit = Callable[[Diary, Officer, date], list[Record]]
UNSEEN = "single-reading"
"""One person without any trait, read once in working hours: no record tells it from a walk-in."""


def commit_abuse(diary: Diary, *, episodes: int) -> None:
    """So many episodes of each kind, each by another officer on a day of the later weeks."""
    number = 0
    for kind, commit in KINDS.items():
        for _ in range(episodes):
            officer, day = _occasion(diary, kind)
            for record in commit(diary, officer, day):
                diary.seeds[str(record.id)] = (kind, number)
            number += 1


def _occasion(diary: Diary, kind: str) -> tuple[Officer, date]:
    rng, offices = diary.rng, diary.offices
    fitting = [o for o in offices.officers if _fits(kind, o)]
    days = [d for d in offices.days() if is_working_day(d) and (d - FIRST_DAY).days >= 21]
    fitting = [o for o in fitting if o.id not in diary.idle]
    while True:
        officer, day = rng.choice(fitting), rng.choice(days[:-4])
        if kind == "on-leave" and officer.leaves:
            first, _ = officer.leaves[0]
            return officer, first + timedelta(days=rng.randrange(4))
        if kind != "on-leave" and not any(officer.away(day + timedelta(days=n)) for n in range(4)):
            return officer, day


def _fits(kind: str, officer: Officer) -> bool:
    agency = officer.agency
    match kind:
        case "no-case" | "closed-case" | "riding-a-case":
            return agency.register
        case "unreviewed-emergency":
            return agency.name.startswith("hospital")
        case "withdrawn-consent":
            return agency.by_consent
        case "after-hours" | "holiday":
            return not officer.by_night
        case "fishing" | "slow-fishing" | "single-reading":
            return not agency.register and not agency.by_consent
        case "on-leave":
            return bool(officer.leaves)
        case _:
            return True


def _during_work(diary: Diary, day: date) -> datetime:
    return at(day, diary.rng.uniform(8.2, 16.5))


def _strangers(
    diary: Diary, officer: Officer, *, start: datetime, count: int, minutes: int
) -> list[Record]:
    """People without any connection, spread over so many minutes."""
    rng = diary.rng
    moments = sorted(rng.uniform(0, minutes * 60) for _ in range(count))
    return [
        diary.read(officer, start + timedelta(seconds=int(s)), diary.offices.new_stranger())
        for s in moments
    ]


def _fishing(diary: Diary, officer: Officer, day: date) -> list[Record]:
    count, minutes = diary.rng.randrange(12, 35), diary.rng.randrange(30, 150)
    start = _during_work(diary, day)
    return _strangers(diary, officer, start=start, count=count, minutes=minutes)


def _slow_fishing(diary: Diary, officer: Officer, day: date) -> list[Record]:
    records = []
    for n in range(3):
        later = day + timedelta(days=n)
        count = diary.rng.randrange(8, 14)
        start = at(later, 8.2)
        records += _strangers(diary, officer, start=start, count=count, minutes=480)
    return records


def _harvest(diary: Diary, officer: Officer, day: date) -> list[Record]:
    start = _during_work(diary, day)
    count = diary.rng.randrange(40, 90)
    return _strangers(diary, officer, start=start, count=count, minutes=50)


def _riding_a_case(diary: Diary, officer: Officer, day: date) -> list[Record]:
    case = diary.offices.open_case([officer.id], at(day, 8))
    count, start = diary.rng.randrange(24, 45), at(day, diary.rng.uniform(8.5, 13))
    return [
        diary.read(
            officer, start + timedelta(minutes=4 * n), diary.offices.new_stranger(), case=case
        )
        for n in range(count)
    ]


def _enumerating(diary: Diary, officer: Officer, day: date) -> list[Record]:
    start, count = _during_work(diary, day), diary.rng.randrange(8, 25)
    return [
        diary.read(
            officer,
            start + timedelta(seconds=40 * n),
            diary.offices.new_id(),
            outcome=Outcome.DENY,
            reason=Reason.SUBJECT_NOT_FOUND,
        )
        for n in range(count)
    ]


def _some(diary: Diary, officer: Officer, day: date, *, hours: tuple[float, float]) -> list[Record]:
    """One to three strangers at an odd time."""
    start = at(day, diary.rng.uniform(*hours))
    count = diary.rng.randrange(1, 4)
    return _strangers(diary, officer, start=start, count=count, minutes=20)


def _on_holiday(diary: Diary, officer: Officer, day: date) -> list[Record]:
    sunday = day + timedelta(days=6 - day.weekday())
    return _some(diary, officer, sunday, hours=(9, 16))


def _known(diary: Diary, officer: Officer, day: date, *, kind: str) -> list[Record]:
    """Somebody who is close, under a pretext that nothing supports."""
    subject = {
        "self": officer.self_,
        "household": diary.rng.choice(officer.household),
        "colleague": diary.rng.choice(diary.offices.colleagues(officer)[:12]).self_,
        "watched": diary.rng.choice(diary.offices.watched),
    }[kind]
    start = _during_work(diary, day)
    count = diary.rng.randrange(1, 3)
    return [diary.read(officer, start + timedelta(minutes=n), subject) for n in range(count)]


def _wrong_purpose(diary: Diary, officer: Officer, day: date) -> list[Record]:
    start, subject = _during_work(diary, day), diary.offices.new_stranger()
    return [diary.read(officer, start, subject, purpose="statistics.mortality")]


def _no_case(diary: Diary, officer: Officer, day: date) -> list[Record]:
    return _strangers(diary, officer, start=_during_work(diary, day), count=1, minutes=5)


def _single(diary: Diary, officer: Officer, day: date) -> list[Record]:
    """At an hour of ordinary work, so that not even the hour tells."""
    when = at(day, busy_hour(diary.rng))
    return [diary.read(officer, when, diary.offices.new_stranger())]


def _closed_case(diary: Diary, officer: Officer, day: date) -> list[Record]:
    since, until = at(day, 9) - timedelta(days=90), at(day, 9) - timedelta(days=20)
    case = diary.offices.open_case([officer.id], since, until=until)
    return [diary.read(officer, _during_work(diary, day), diary.offices.new_stranger(), case=case)]


def _probing(diary: Diary, officer: Officer, day: date) -> list[Record]:
    start, subject = _during_work(diary, day), diary.offices.new_stranger()
    records = [
        diary.read(
            officer,
            start + timedelta(minutes=n),
            subject,
            purpose=purpose,
            outcome=Outcome.DENY,
            reason=diary.rng.choice([Reason.NO_AGREEMENT, Reason.PURPOSE_MISMATCH]),
        )
        for n, purpose in enumerate(("population.maintain-view", "account.update-customer"))
    ]
    return [*records, diary.read(officer, start + timedelta(minutes=4), subject)]


def _unreviewed(diary: Diary, officer: Officer, day: date) -> list[Record]:
    when = _during_work(diary, day)
    return [emergency(diary, officer, when, diary.offices.new_stranger(), reviewed=False)]


def _dormant(diary: Diary, officer: Officer, day: date) -> list[Record]:
    """An account that nobody used for seven weeks, taken over: its honest readings are struck."""
    start = max(at(day, 9), at(FIRST_DAY + timedelta(days=56), 9))
    idle = start - timedelta(days=49)
    diary.idle.add(officer.id)
    diary.records = [
        r
        for r in diary.records
        if r.actor.officer != officer.id or r.at < idle or str(r.id) in diary.seeds
    ]
    diary.read(officer, idle - timedelta(hours=1), diary.offices.new_person(officer.agency.name))
    return _strangers(diary, officer, start=start, count=diary.rng.randrange(1, 4), minutes=30)


def _first_dataset(diary: Diary, officer: Officer, day: date) -> list[Record]:
    """A purpose of the agency that was never this officer's, for strangers."""
    others = [p for p in officer.agency.purposes if p not in officer.purposes]
    purpose = others[0] if others else EMERGENCY
    start = _during_work(diary, day)
    return [
        diary.read(
            officer, start + timedelta(minutes=n), diary.offices.new_stranger(), purpose=purpose
        )
        for n in range(diary.rng.randrange(1, 4))
    ]


def _withdrawn_consent(diary: Diary, officer: Officer, day: date) -> list[Record]:
    consent, when = f"{diary.offices.new_id()}@2", _during_work(diary, day)
    position = diary.rng.randrange(10_000)
    diary.tell(
        RecordKind.WITHDRAWAL_TOLD, when - timedelta(hours=5), "bank",
        consent=consent, position=position,
    )  # fmt: skip
    subject = diary.offices.new_person("bank")
    return [diary.read(officer, when, subject, consent=consent, position=position + 3)]


def _unreleased(diary: Diary, officer: Officer, day: date) -> list[Record]:
    record = diary.read(officer, _during_work(diary, day), diary.offices.new_stranger())
    diary.unreleased.add(str(record.id))
    return [record]


KINDS: Mapping[str, Commit] = {
    "dormant": _dormant,  # first: it strikes out honest readings
    "fishing": _fishing,
    "slow-fishing": _slow_fishing,
    "harvest": _harvest,
    "riding-a-case": _riding_a_case,
    "enumerating": _enumerating,
    "after-hours": partial(_some, hours=(19.5, 27.0)),
    "holiday": _on_holiday,
    "on-leave": partial(_some, hours=(9, 16)),
    **{k: partial(_known, kind=k) for k in ("self", "household", "colleague", "watched")},
    "wrong-purpose": _wrong_purpose,
    "no-case": _no_case,
    "closed-case": _closed_case,
    "probing": _probing,
    "unreviewed-emergency": _unreviewed,
    "first-dataset": _first_dataset,
    "withdrawn-consent": _withdrawn_consent,
    "unreleased": _unreleased,
    UNSEEN: _single,
}
