"""What is usual: counts by the hours of a week, counts by the day, and the time they go by. Pure.

Times are seconds since 1970; weeks and days are those of the nation's calendar.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from civicbus_schemas.agreement import NATION_ZONE

HOUR_S, DAY_S, WEEK_S = 3600, 86_400, 604_800
HOURS_OF_A_WEEK = 168
HALVED_AFTER_WEEKS = 26
_DAYS_REMEMBERED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time as rules see it; `day` counts days and `hour` hours of the nation's calendar.

    `midnight` is the second at which its day began.
    """

    at: datetime
    local: datetime
    seconds: int
    midnight: int
    day: int
    hour: int
    hour_of_week: int


@lru_cache(maxsize=256)
def moment_of(at: datetime) -> Moment:
    """This time in the nation's calendar."""
    local = at.astimezone(NATION_ZONE)
    day = local.toordinal()
    return Moment(
        at=at,
        local=local,
        seconds=int(at.timestamp()),
        midnight=int(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()),
        day=day,
        hour=day * 24 + local.hour,
        hour_of_week=local.weekday() * 24 + local.hour,
    )


def time_of(seconds: int) -> datetime:
    """A remembered time."""
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(slots=True)
class Weekly:
    """How much happens in each of the 168 hours of a week: sum and sum of squares per hour."""

    since: int = 0
    hours: dict[str, list[int]] = field(default_factory=dict)
    hour: int = 0
    count: int = 0
    before: list[int] = field(default_factory=lambda: [0, 0])  # the hour closed last, its count

    def add(self, now: Moment) -> None:
        """Count one; an hour that is over goes into its cell."""
        if self.since == 0:
            self.since = now.seconds
        if now.hour > self.hour:
            self._close()
            self.hour, self.count = now.hour, 0
        self.count += 1
        if self.weeks(now) > HALVED_AFTER_WEEKS:
            self._halve(now)

    def now(self, now: Moment) -> int:
        """How many were counted in this very hour."""
        return self.count if self.hour == now.hour else 0

    def former(self, now: Moment) -> tuple[int, float]:
        """How many were counted in the hour before this, and the mean of it in other weeks."""
        mean = self.mean((now.hour_of_week - 1) % HOURS_OF_A_WEEK, now)
        if self.hour == now.hour - 1:
            return self.count, mean
        hour, count = self.before
        return (count, mean - count / self.weeks(now)) if hour == now.hour - 1 else (0, mean)

    def weeks(self, now: Moment) -> float:
        """Over how many weeks the cells were filled, at least one."""
        return max(1.0, (now.seconds - self.since) / WEEK_S)

    def mean(self, hour_of_week: int, now: Moment) -> float:
        """The mean count of this hour of the week."""
        return self.hours.get(str(hour_of_week), [0, 0])[0] / self.weeks(now)

    def spread(self, hour_of_week: int, now: Moment) -> float:
        """The variance of it."""
        squares = self.hours.get(str(hour_of_week), [0, 0])[1] / self.weeks(now)
        return max(0.0, squares - self.mean(hour_of_week, now) ** 2)

    def share_near(self, hour_of_day: int) -> float:
        """Which share of all fell in this hour of the day or the one beside it, on any day."""
        near = {(hour_of_day + step) % 24 for step in (-1, 0, 1)}
        total = sum(cell[0] for cell in self.hours.values())
        here = sum(cell[0] for hour, cell in self.hours.items() if int(hour) % 24 in near)
        return here / total if total else 0.0

    def _close(self) -> None:
        if self.count:
            cell = self.hours.setdefault(str(self.hour_of_week), [0, 0])
            cell[0] += self.count
            cell[1] += self.count**2
        self.before = [self.hour, self.count]

    @property
    def hour_of_week(self) -> int:
        """The present hour, as one of 168; day 1 of the count was a Monday."""
        return (self.hour // 24 - 1) % 7 * 24 + self.hour % 24

    def _halve(self, now: Moment) -> None:
        """Old weeks count less, and numbers stay small."""
        self.since = now.seconds - int(self.weeks(now) / 2) * WEEK_S
        self.hours = {hour: [n // 2 for n in cell] for hour, cell in self.hours.items()}


@dataclass(slots=True)
class Daily:
    """How many of something an active day has, as a mean that forgets slowly."""

    days: int = 0
    mean: float = 0.0
    day: int = 0
    count: int = 0

    def turn_to(self, day: int) -> int | None:
        """Begin a new day; the count of the former, which is learnt, or None if it goes on."""
        if day <= self.day:
            return None
        former = self.count if self.day else None
        if former is not None:
            self.learn(former, remembered=_DAYS_REMEMBERED)
        self.day, self.count = day, 0
        return former

    def learn(self, count: int, *, remembered: int) -> None:
        """Take a day into the mean, an extraordinary one only in part."""
        self.days += 1
        ordinary = min(count, 2 * self.mean + 5)
        self.mean += (ordinary - self.mean) / min(self.days, remembered)


def tail(count: int, mean: float) -> float:
    """The probability of so many or more, where `mean` are usual and chance is Poisson's."""
    term = below = math.exp(-mean)
    for n in range(1, count):
        term *= mean / n
        below += term
    return max(0.0, 1.0 - below)
