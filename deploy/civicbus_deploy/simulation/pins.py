"""Personal identification numbers `PPP C YY RRRRRR` (Law 26/2023 Art 12): drawn, and checked."""

from __future__ import annotations

from datetime import date
from random import Random

from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.ids import Pin

from civicbus_deploy.simulation.places import PROVINCE_CODES

FIRST_CENTURY = 1900  # born 1900-1999: 0 male, 1 female; then 2 and 3, and so on


def century_digit(born_on: date, sex: str) -> str:
    """The fourth digit: century and sex."""
    return str((born_on.year - FIRST_CENTURY) // 100 * 2 + (sex == "female"))


def draw_pin(rng: Random, *, province: str, born_on: date, sex: str) -> Pin:
    """A number that fits; that it is new is the caller's to see."""
    century = century_digit(born_on, sex)
    return Pin(f"{province}{century}{born_on.year % 100:02}{rng.randrange(1_000_000):06}")


def check_pin(pin: Pin, *, born_on: date, sex: str) -> None:
    """Raise `InvalidIdentifier` unless province, century, sex and birth year fit; shows no digit.

    Country codes of births abroad are not known here: the simulation has none.
    """
    number = pin.number
    broken = {
        "a known province code": number[0] != "0" or number[1:3] not in PROVINCE_CODES,
        "the digit of century and sex": number[3] != century_digit(born_on, sex),
        "the year of birth": number[4:6] != f"{born_on.year % 100:02}",
    }
    for expected, wrong in broken.items():
        if wrong:
            raise InvalidIdentifier("the PIN does not fit the person", expected=expected)
