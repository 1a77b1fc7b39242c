"""Forms of release: what of a granted field a recipient gets. A field without a grant is cut.

A predicate answers a question about the value and hides the value. Here are the forms as values
and how they are written in an agreement; `delivered` says what type each leaves, and
`civicbus_consumers.access.answers` what it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise
from typing import Any, NoReturn

from civicbus_schemas.contract import Field
from civicbus_schemas.errors import InvalidAgreement

MAX_BOUNDS = 16
MAX_WHOLE = 2**53 - 1
"""Beyond it RFC 8785, in which policy sets are written, does not keep whole numbers exactly."""
MAX_AGE_YEARS = 150

Value = bool | int | str | date | datetime


@dataclass(frozen=True, slots=True)
class AsIs:
    """The value itself."""

    def __str__(self) -> str:
        return "as-is"


@dataclass(frozen=True, slots=True)
class PairwisePseudonym:
    """The recipient's own pseudonym of a person's number."""

    def __str__(self) -> str:
        return "pairwise-pseudonym"


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether there is a value; of a list, whether it holds anything."""

    def __str__(self) -> str:
        return "exists"


@dataclass(frozen=True, slots=True)
class Equal:
    """Whether the value is this one."""

    value: Value

    def __str__(self) -> str:
        return f"equal {self.value}"


@dataclass(frozen=True, slots=True)
class AtLeast:
    """Whether the value is this one or greater; of days and times, whether it is no earlier."""

    value: Value

    def __str__(self) -> str:
        return f"at-least {self.value}"


@dataclass(frozen=True, slots=True)
class Under:
    """Whether the value is less than this one; of days and times, whether it is earlier."""

    value: Value

    def __str__(self) -> str:
        return f"under {self.value}"


@dataclass(frozen=True, slots=True)
class AgeAtLeast:
    """Whether who was born on that day has completed so many years on the day of release."""

    years: int

    def __str__(self) -> str:
        return f"age-at-least {self.years}"


@dataclass(frozen=True, slots=True)
class AgeBelow:
    """Whether who was born on that day has not completed so many years on the day of release."""

    years: int

    def __str__(self) -> str:
        return f"age-under {self.years}"


@dataclass(frozen=True, slots=True)
class AgeBand:
    """In which band the age on the day of release lies; `bounds` are the years at which one ends.

    With [6, 15, 18] the bands are `under_6`, `from_6_to_14`, `from_15_to_17`, `from_18`.
    """

    bounds: tuple[int, ...]

    def __str__(self) -> str:
        return f"age-band {', '.join(map(str, self.bounds))}"

    @property
    def bands(self) -> tuple[str, ...]:
        """The names of the bands, the youngest first; they can be symbols in Avro."""
        between = (f"from_{low}_to_{high - 1}" for low, high in pairwise(self.bounds))
        return (f"under_{self.bounds[0]}", *between, f"from_{self.bounds[-1]}")


Compared = Equal | AtLeast | Under
Aged = AgeAtLeast | AgeBelow | AgeBand
Predicate = Exists | Compared | Aged
Form = AsIs | PairwisePseudonym | Predicate

AS_IS = AsIs()
PAIRWISE_PSEUDONYM = PairwisePseudonym()
_PLAIN: dict[str, Form] = {str(form): form for form in (AS_IS, PAIRWISE_PSEUDONYM, Exists())}


def parse_form(written: Any, *, where: str) -> Form:
    """The form as an agreement writes it: a word, or `{word: argument}`; `InvalidAgreement`."""
    match written:
        case str() if written in _PLAIN:
            return _PLAIN[written]
        case Mapping() if len(written) == 1:
            [(word, argument)] = written.items()
            if isinstance(word, str) and word in _ARGUED:
                return _ARGUED[word](argument, f"{where}: {word}")
    expected = [*_PLAIN, *(f"{{{word}: …}}" for word in _ARGUED)]
    raise InvalidAgreement(f"{where}: unknown form of release", got=written, expected=expected)


def _value(argument: Any, where: str) -> Value:
    """A value as JSON carries it; a day or a time becomes the text that a policy set holds."""
    match argument:
        case bool() | str():
            return argument
        case int() if abs(argument) <= MAX_WHOLE:
            return argument
        case datetime() | date():
            return argument.isoformat()
    raise InvalidAgreement(
        where,
        got=type(argument).__name__,
        expected="true, false, a whole number within ±(2^53 - 1), a text, a day or a time",
    )


def _years(argument: Any, where: str) -> int:
    if type(argument) is not int or not 0 < argument <= MAX_AGE_YEARS:
        raise InvalidAgreement(where, expected=f"full years from 1 to {MAX_AGE_YEARS}")
    return argument


def _bounds(argument: Any, where: str) -> tuple[int, ...]:
    if not isinstance(argument, list) or not 0 < len(argument) <= MAX_BOUNDS:
        raise InvalidAgreement(where, expected=f"a list of 1 to {MAX_BOUNDS} ages")
    bounds = tuple(_years(item, where) for item in argument)
    if any(low >= high for low, high in pairwise(bounds)):
        raise InvalidAgreement(where, got=list(bounds), expected="ages that rise")
    return bounds


_ARGUED: dict[str, Callable[[Any, str], Form]] = {
    "equal": lambda argument, where: Equal(_value(argument, where)),
    "at-least": lambda argument, where: AtLeast(_value(argument, where)),
    "under": lambda argument, where: Under(_value(argument, where)),
    "age-at-least": lambda argument, where: AgeAtLeast(_years(argument, where)),
    "age-under": lambda argument, where: AgeBelow(_years(argument, where)),
    "age-band": lambda argument, where: AgeBand(_bounds(argument, where)),
}


def typed(form: Form, leaf: Field, *, where: str) -> Form:
    """The form with its value as events hold it; `InvalidAgreement` where it does not fit the leaf.

    Equality is not asked of fractions, which are rarely equal, nor of bytes and lists; order is
    asked of numbers, days and times only; an age is that of a day.
    """
    match form:
        case AsIs() | PairwisePseudonym() | Exists():
            return form
        case AgeAtLeast() | AgeBelow() | AgeBand():
            if _kind(leaf) != "date":
                _misfit(form, leaf, where, expected="a day")
            return form
        case Equal(value) | AtLeast(value) | Under(value):
            kind = _kind(leaf)
            if kind not in (_EQUAL if isinstance(form, Equal) else _ORDERED):
                _misfit(form, leaf, where, expected="a field that can be compared so")
            return replace(form, value=_converted(value, leaf, where=f"{where}: {form}"))


_EQUAL = {"boolean", "int", "long", "string", "enum", "date", "timestamp-micros"}
_ORDERED = {"int", "long", "float", "double", "date", "timestamp-micros"}
_BITS = {"int": 32, "long": 64, "float": 64, "double": 64}


def _kind(leaf: Field) -> str:
    match leaf.type:
        case {"logicalType": str(kind)} | {"type": str(kind)} | str(kind):
            return kind
    raise AssertionError(leaf.type)


def _misfit(form: Form, leaf: Field, where: str, *, expected: str) -> NoReturn:
    raise InvalidAgreement(
        f"{where}: {form} of {leaf.path}", got=f"a field of type {_kind(leaf)}", expected=expected
    )


def _converted(value: Value, leaf: Field, *, where: str) -> Value:
    """The value as fastavro reads the leaf."""
    kind = _kind(leaf)
    match kind, value:
        case "boolean", bool():
            return value
        case (("int" | "long" | "float" | "double"), int()) if not isinstance(value, bool):
            if -(1 << _BITS[kind] - 1) <= value < 1 << _BITS[kind] - 1:
                return value
        case "string", str():
            return value
        case "enum", str() if value in leaf.type["symbols"]:
            return value
        case "date", str() if (day := _day(value)) is not None:
            return day
        case "timestamp-micros", str() if (time := _time(value)) is not None:
            return time
    expected = {"date": "YYYY-MM-DD", "timestamp-micros": "a time with its offset"}.get(kind, kind)
    if kind == "enum":
        expected = f"one of {', '.join(leaf.type['symbols'])}"
    raise InvalidAgreement(f"{where} of {leaf.path}", got=value, expected=expected)


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if time.tzinfo is None else time
