"""From acts to the weekly report: what each official did, and what of it stands out. Pure.

The reader's own acts are left out and counted: nobody reviews himself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from statistics import median

from civicbus_audit.presenting import LOCAL_TIME
from civicbus_schemas.vocabulary import Reason, RecordKind

from civicbus_consumers.officers.rules import Asker, Denied, Question, Role, Verdict, judge
from civicbus_consumers.officers.weekly.weeks import Week

WEEKS_BEFORE = 4
"""How many weeks before it an official's week is held against."""
TIMES = 2
"""What stands out is more than so many times the usual."""

_NIGHT_BEGINS, _NIGHT_ENDS = 22, 6  # night work in article 106 of Vietnam's Labour Code (2019)
_SATURDAY = 5


class Measure(StrEnum):
    """What is counted of an official's week, and compared."""

    ACTS = "acts"
    PEOPLE = "people"
    EXPORTS = "exports"
    REFUSED = "refused"
    WITHOUT_CASE = "without-case"
    AT_NIGHT = "at-night"
    AT_WEEKEND = "at-weekend"


LEAST: Mapping[Measure, int] = {
    Measure.ACTS: 20,
    Measure.PEOPLE: 10,
    Measure.EXPORTS: 3,
    Measure.REFUSED: 3,
    Measure.WITHOUT_CASE: 10,
    Measure.AT_NIGHT: 3,
    Measure.AT_WEEKEND: 3,
}
"""Fewer than these never stand out: twice next to nothing is nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One leaf of the trail. `about` is the person whom it was about, `case` the case that it named
    or was done to; both, and `officer`, are pseudonyms. `by_two`: another official approved it.
    """

    at: datetime
    agency: str
    officer: str | None
    kind: str
    refused: bool = False
    about: str | None = None
    purpose: str | None = None
    case: str | None = None
    by_two: bool = False

    def counts_as(self, measure: Measure) -> bool:
        """Whether it is one of these; of `PEOPLE` no act tells by itself."""
        local = self.at.astimezone(LOCAL_TIME)
        match measure:
            case Measure.ACTS:
                return True
            case Measure.EXPORTS:
                return self.kind == RecordKind.OFFICER_EXPORT and not self.refused
            case Measure.REFUSED:
                return self.refused
            case Measure.WITHOUT_CASE:
                return self.kind == RecordKind.OFFICER_QUERY and self.case is None
            case Measure.AT_NIGHT:
                return local.hour >= _NIGHT_BEGINS or local.hour < _NIGHT_ENDS
            case Measure.AT_WEEKEND:
                return local.weekday() >= _SATURDAY
            case Measure.PEOPLE:
                return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A count, the median of the official's four weeks before, and that of the others' same week.

    `others` is None where nobody else acted.
    """

    measure: Measure
    count: int
    own: float
    others: float | None

    @property
    def stands_out(self) -> bool:
        """Whether there are enough, and more than twice either usual."""
        usual = self.own if self.others is None else min(self.own, self.others)
        return self.count >= LEAST[self.measure] and self.count > TIMES * usual


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialsWeek:
    """What one official did in the week; `by_two` exports took a second official's approval."""

    agency: str
    officer: str
    kinds: Mapping[str, int]
    purposes: Mapping[str, int]
    cases: int
    by_two: int
    compared: tuple[Compared, ...]

    @property
    def acts(self) -> int:
        """How many acts."""
        return sum(self.kinds.values())

    @property
    def outstanding(self) -> tuple[Compared, ...]:
        """What stands out."""
        return tuple(one for one in self.compared if one.stands_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A week of all officials but its reader: first he of whom the most stands out.

    `own` acts are the reader's; `unnamed` ones name no official, as a citizen's that were refused.
    """

    week: Week
    officials: tuple[OfficialsWeek, ...]
    own: int
    unnamed: int


def judge_report(asker: Asker, question: Question, *, now: datetime) -> Verdict:
    """Whether this asker may have the report: a supervisor, who may see the trail."""
    if asker.role is not Role.SUPERVISOR:
        return Denied(reason=Reason.NOT_YOUR_ROLE)
    return judge(asker, question, now=now)


def report_of(acts: Iterable[Act], week: Week, *, own: str | None) -> Report:
    """The report of a week; `own` is the reader's pseudonym.

    `acts` are those of the week and of the four before it; what lies outside is passed over.
    """
    weeks = [week.earlier(back) for back in range(WEEKS_BEFORE + 1)]
    done: dict[tuple[str, str], dict[Week, list[Act]]] = defaultdict(lambda: defaultdict(list))
    left_out: Counter[str] = Counter()
    for act in acts:
        in_week = Week.of(act.at)
        if act.officer is None or act.officer == own:
            left_out["unnamed" if act.officer is None else "own"] += in_week == week
        elif in_week in weeks:
            done[act.agency, act.officer][in_week].append(act)
    counts = {
        who: [_counts(by_week.get(one, ())) for one in weeks] for who, by_week in done.items()
    }
    officials = [
        _officials_week(who, by_week[week], _compared(who, counts))
        for who, by_week in done.items()
        if by_week.get(week)
    ]
    officials.sort(key=lambda one: (-len(one.outstanding), -one.acts, one.agency, one.officer))
    return Report(
        week=week,
        officials=tuple(officials),
        own=left_out["own"],
        unnamed=left_out["unnamed"],
    )


def _counts(acts: Sequence[Act]) -> Mapping[Measure, int]:
    counts = {measure: sum(act.counts_as(measure) for act in acts) for measure in Measure}
    return counts | {Measure.PEOPLE: len({act.about for act in acts} - {None})}


def _compared(
    who: tuple[str, str], counts: Mapping[tuple[str, str], Sequence[Mapping[Measure, int]]]
) -> tuple[Compared, ...]:
    now, *before = counts[who]
    others = [c[0] for name, c in counts.items() if name != who and c[0][Measure.ACTS]]
    return tuple(
        Compared(
            measure=measure,
            count=now[measure],
            own=median(one[measure] for one in before),
            others=median(one[measure] for one in others) if others else None,
        )
        for measure in Measure
    )


def _officials_week(
    who: tuple[str, str], acts: Sequence[Act], compared: tuple[Compared, ...]
) -> OfficialsWeek:
    agency, officer = who
    return OfficialsWeek(
        agency=agency,
        officer=officer,
        kinds=dict(sorted(Counter(act.kind for act in acts).items())),
        purposes=dict(sorted(Counter(act.purpose for act in acts if act.purpose).items())),
        cases=len({act.case for act in acts} - {None}),
        by_two=sum(act.by_two for act in acts if act.counts_as(Measure.EXPORTS)),
        compared=compared,
    )
