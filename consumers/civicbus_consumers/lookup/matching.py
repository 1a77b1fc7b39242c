"""Whether what is said of a person is so, what is answered, and about whom. Pure."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

from civicbus_schemas.contract import Contract
from civicbus_schemas.ids import Pin

from civicbus_consumers.lookup.request import LookupRequest, Mode

if TYPE_CHECKING:
    from civicbus_consumers.lookup.rules import Named, Person


def identifies(request: Named, person: Person | None) -> bool:
    """Whether full name and date of birth are this person's, in time that does not tell which."""
    values = {} if person is None else person.values
    name = same_value(request.full_name, values.get("full_name"))
    day = same_value(request.date_of_birth.isoformat(), values.get("date_of_birth"))
    known = values.get("full_name") is not None and values.get("date_of_birth") is not None
    return name & day & known


def same_value(claimed: Any, held: Any) -> bool:
    """Whether a claim is the value that is held, compared in constant time.

    Texts are compared without regard to case, to runs of white space, and to how Unicode composes
    their letters; a day is claimed as `YYYY-MM-DD`; null claims that there is no value.
    """
    return hmac.compare_digest(_digest(claimed), _digest(held))


def cut(request: LookupRequest, person: Person) -> dict[str, Any]:
    """What is answered: per field its value as JSON holds it, or whether the claim is true."""
    if request.mode is Mode.VERIFY:
        return {p: same_value(claim, person.values[p]) for p, claim in request.claims.items()}
    return {path: _plain(person.values[path]) for path in request.fields}


def people(
    request: LookupRequest, contract: Contract, person: Person
) -> Iterator[tuple[Pin, tuple[str, ...]]]:
    """Whose data an answer holds: the person asked about first, then others it has fields about."""
    for subject in contract.subjects:
        about = tuple(p for p in request.fields if contract.fields[p].subject == subject.name)
        number = person.values[subject.path]
        if subject == contract.key_subject:
            yield request.pin, about
        elif about and number is not None:
            yield Pin(number), about


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _digest(value: Any) -> bytes:
    plain = _plain(value)
    text = normalised(plain) if isinstance(plain, str) else str(plain)
    return hashlib.sha256(f"{type(plain).__name__}\x00{text}".encode()).digest()


def normalised(text: str) -> str:
    """A text as it is compared: NFC, case folded, single spaces."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())
