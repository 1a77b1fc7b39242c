"""Weeks as ISO 8601 numbers them, Monday to Sunday, in the nation's time. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from civicbus_audit.presenting import LOCAL_TIME

FIRST_YEAR = 1970

_WEEK = re.compile(r"([0-9]{4})-W([0-9]{2})")


@dataclass(frozen=True, slots=True, order=True)
class Week:
    """A week by its ISO year and number; raises `ValueError` for one that its year has not."""

    year: int
    number: int

    def __post_init__(self) -> None:
        _ = self.monday

    @classmethod
    def of(cls, moment: datetime) -> Week:
        """The week in which a moment lies."""
        year, number, _ = moment.astimezone(LOCAL_TIME).isocalendar()
        return cls(year, number)

    @classmethod
    def parse(cls, text: str) -> Week:
        """The week that is written so, such as 2026-W47; raises `ValueError`."""
        written = _WEEK.fullmatch(text)
        if written is None or int(written[1]) < FIRST_YEAR:
            raise ValueError("no week")
        return cls(int(written[1]), int(written[2]))

    @property
    def monday(self) -> date:
        """Its first day."""
        return date.fromisocalendar(self.year, self.number, 1)

    @property
    def starts(self) -> datetime:
        """The midnight with which it begins."""
        return datetime.combine(self.monday, time(), LOCAL_TIME)

    @property
    def ends(self) -> datetime:
        """The midnight with which the next one begins."""
        return datetime.combine(self.monday + timedelta(weeks=1), time(), LOCAL_TIME)

    def earlier(self, weeks: int) -> Week:
        """So many weeks before it."""
        year, number, _ = (self.monday - timedelta(weeks=weeks)).isocalendar()
        return Week(year, number)

    def __str__(self) -> str:
        return f"{self.year}-W{self.number:02}"
