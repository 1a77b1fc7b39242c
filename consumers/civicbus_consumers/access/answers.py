"""What a predicate answers about a value on the day of release. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import date
from typing import Any, assert_never

from civicbus_schemas.form import (
    AgeAtLeast,
    AgeBand,
    AgeBelow,
    AtLeast,
    Equal,
    Exists,
    Predicate,
    Under,
)

Answer = bool | str | None
Ask = Callable[[Any, date], Answer]


def asking(form: Predicate) -> Ask:
    """The question as a function of value and day; None answers where there is no answer.

    Only `exists` answers about a value that is absent. `form` is typed (`form.typed`).
    """
    match form:
        case Exists():
            return lambda value, _: value is not None and value != []
        case Equal(known):
            return _of_present(lambda value: value == known)
        case AtLeast(least):
            return _of_present(lambda value: value >= least)
        case Under(limit):
            return _of_present(lambda value: value < limit)
        case AgeAtLeast(years):
            return _of_age(lambda age: age >= years)
        case AgeBelow(years):
            return _of_age(lambda age: age < years)
        case AgeBand(bounds, bands=bands):
            return _of_age(lambda age: bands[bisect_right(bounds, age)])
        case _:
            assert_never(form)


def _of_present(ask: Callable[[Any], Answer]) -> Ask:
    return lambda value, _: None if value is None else ask(value)


def _of_age(ask: Callable[[int], Answer]) -> Ask:
    """Ask about an age; nobody has one before the day of birth."""

    def answer(born: date | None, today: date) -> Answer:
        age = -1 if born is None else age_on(born, today)
        return None if age < 0 else ask(age)

    return answer


def age_on(born: date, today: date) -> int:
    """Full years; below 0 before the day of birth."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
