"""An agreement read from a mapping that was loaded from YAML or JSON.

Whatever this module does not know refuses the whole document (invariant I2): nothing is parsed and
then ignored. Whether fields, purposes and agencies exist is checked by `policy`, which sees the
whole set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar

from civicbus_schemas import ids
from civicbus_schemas.agreement import (
    MAX_FIELDS,
    AgeUnder,
    Agreement,
    Condition,
    FieldGrant,
    Limits,
    Reads,
    Release,
)
from civicbus_schemas.errors import InvalidAgreement, InvalidIdentifier
from civicbus_schemas.form import parse_form
from civicbus_schemas.ids import AgreementRef, EventType
from civicbus_schemas.statement import Party, Role
from civicbus_schemas.vocabulary import Access, ConsentRule, WhenWithheld

W = TypeVar("W", bound=StrEnum)

_REQUIRED = {
    "agreement", "version", "provider", "recipient", "purpose", "basis", "consent", "valid",
    "retention", "approved_by",
}  # fmt: skip
_OPTIONAL = {"releases", "reads", "access", "withheld", "limits", "note"}
A_DAY = "a whole day of the calendar, YYYY-MM-DD"
_DURATION = re.compile(r"P[1-9][0-9]{0,3}[YMWD]")


def parse_agreement(document: Mapping[str, Any], *, source: str) -> Agreement:
    """The agreement in a document; `source` names the file in errors (`InvalidAgreement`)."""
    try:
        return _parse(document, source)
    except InvalidIdentifier as error:
        raise InvalidAgreement(f"{source}: {error.what}", expected=error.expected) from None


def _parse(document: Mapping[str, Any], source: str) -> Agreement:
    _keys(_mapping(document, where=source), required=_REQUIRED, optional=_OPTIONAL, where=source)
    valid = _mapping(document["valid"], where=f"{source}: valid")
    _keys(valid, required={"from", "until"}, optional=set(), where=f"{source}: valid")
    start, end = (_day(valid[name], where=f"{source}: valid: {name}") for name in ("from", "until"))
    if start > end:
        raise InvalidAgreement(f"{source}: valid", expected="from not after until")
    agreement = Agreement(
        ref=AgreementRef(
            ids.dotted_id(_text(document, "agreement", source), what="agreement id"),
            _positive(document["version"], where=f"{source}: version"),
        ),
        provider=ids.agency_id(_text(document, "provider", source)),
        recipient=ids.agency_id(_text(document, "recipient", source)),
        purpose=ids.dotted_id(_text(document, "purpose", source), what="purpose"),
        basis=ids.dotted_id(_text(document, "basis", source), what="legal basis"),
        consent=_one_of(ConsentRule, document["consent"], f"{source}: consent"),
        releases=MappingProxyType(dict(_releases(document.get("releases", {}), source))),
        reads=MappingProxyType(dict(_reads(document.get("reads", {}), source))),
        valid_from=start,
        valid_until=end,
        retention=_retention(document, source),
        approved_by=_parties(document["approved_by"], source),
        withheld=_one_of(WhenWithheld, document.get("withheld", "silent"), f"{source}: withheld"),
        limits=_limits(document.get("limits", {}), source),
        access=_one_of(Access, document.get("access", "ordinary"), f"{source}: access"),
    )
    if not agreement.releases and not agreement.reads:
        raise InvalidAgreement(f"{source}: nothing is released", expected="releases or reads")
    if agreement.withheld is WhenWithheld.NOTIFY and not agreement.releases:
        raise InvalidAgreement(f"{source}: withheld", expected="releases that can be withheld")
    if agreement.access is not Access.ORDINARY and agreement.releases:
        raise InvalidAgreement(f"{source}: access", got=agreement.access, expected="reads alone")
    return agreement


def _releases(releases: Any, source: str) -> Iterator[tuple[EventType, Release]]:
    for name, body in _mapping(releases, where=f"{source}: releases").items():
        where = f"{source}: {name!a}"
        release = _mapping(body, where=where)
        _keys(release, required={"fields"}, optional={"only_if"}, where=where)
        grants = tuple(_grant(item, where) for item in _sequence(release["fields"], where=where))
        if not grants:
            raise InvalidAgreement(f"{where}: no field is released", expected="at least one")
        _distinct([grant.path for grant in grants], where=where)
        conditions = _sequence(release.get("only_if", []), where=where)
        yield (
            ids.event_type(str(name)),
            Release(fields=grants, only_if=tuple(_condition(item, where) for item in conditions)),
        )


def _grant(item: Any, where: str) -> FieldGrant:
    if isinstance(item, str):
        return FieldGrant(path=item)
    path, form = _single(item, where=where)
    return FieldGrant(path=path, form=parse_form(form, where=f"{where}: {path}"))


def _condition(item: Any, where: str) -> Condition:
    path, test = _single(item, where=where)
    name, argument = _single(test, where=f"{where}: condition on {path}")
    if name != "age-under-years":
        raise InvalidAgreement(
            f"{where}: unknown condition on {path}", got=name, expected="age-under-years"
        )
    return AgeUnder(path=path, years=_positive(argument, where=f"{where}: condition on {path}"))


def _reads(reads: Any, source: str) -> Iterator[tuple[EventType, Reads]]:
    for name, body in _mapping(reads, where=f"{source}: reads").items():
        where = f"{source}: {name!a}"
        modes = _mapping(body, where=where)
        _keys(modes, required=set(), optional={"read", "verify"}, where=where)
        read, verify = (_paths(modes.get(mode, []), where) for mode in ("read", "verify"))
        if not read | verify:
            raise InvalidAgreement(f"{where}: nothing may be read", expected="read or verify")
        yield ids.event_type(str(name)), Reads(read=read, verify=verify)


def _paths(items: Any, where: str) -> frozenset[str]:
    paths = _sequence(items, where=where)
    if not all(isinstance(path, str) for path in paths):
        raise InvalidAgreement(where, expected="paths of fields, without a form")
    _distinct(paths, where=where)
    return frozenset(paths)


def _parties(items: Any, source: str) -> tuple[Party, ...]:
    where = f"{source}: approved_by"
    parties = []
    for item in _sequence(items, where=where):
        party = _mapping(item, where=where)
        _keys(party, required={"agency", "role"}, optional=set(), where=where)
        agency, role = ids.agency_id(_text(party, "agency", where)), party["role"]
        if role not in list(Role):
            raise InvalidAgreement(f"{where}: unknown role", expected=[*Role])
        parties.append(Party(agency, Role(role)))
    roles = [party.role for party in parties]
    if sorted(roles) != sorted(Role):
        absent = " and ".join(sorted(set(Role) - set(roles)))
        raise InvalidAgreement(
            where,
            got=f"no officer for {absent}" if absent else "an officer too many",
            expected=f"each of {', '.join(Role)} once",
        )
    return tuple(parties)


def _limits(body: Any, source: str) -> Limits:
    where = f"{source}: limits"
    limits = _mapping(body, where=where)
    _keys(limits, required=set(), optional={"per_second", "subjects_per_day"}, where=where)
    return Limits(
        **{name: _positive(limit, where=f"{where}: {name}") for name, limit in limits.items()}
    )


def _one_of(words: type[W], value: Any, where: str) -> W:
    if value not in list(words):
        raise InvalidAgreement(where, got=value, expected=list(words))
    return words(value)


def _keys(
    document: Mapping[str, Any], *, required: set[str], optional: set[str], where: str
) -> None:
    unknown = sorted(str(key) for key in set(document) - required - optional)
    if unknown:
        raise InvalidAgreement(
            f"{where}: unknown keys", got=unknown, expected=sorted(required | optional)
        )
    missing = sorted(required - set(document))
    if missing:
        raise InvalidAgreement(f"{where}: missing keys", expected=missing)


def _mapping(value: Any, *, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidAgreement(where, got=type(value).__name__, expected="a mapping")
    return value


def _sequence(value: Any, *, where: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise InvalidAgreement(where, got=type(value).__name__, expected="a list")
    return value


def _single(value: Any, *, where: str) -> tuple[str, Any]:
    if not isinstance(value, Mapping) or len(value) != 1:
        raise InvalidAgreement(where, got=type(value).__name__, expected="one `key: value`")
    [(key, inner)] = value.items()
    return str(key), inner


def _text(document: Mapping[str, Any], key: str, source: str) -> str:
    value = document[key]
    if not isinstance(value, str) or not value:
        raise InvalidAgreement(f"{source}: {key}", got=type(value).__name__, expected="a text")
    return value


def _day(value: Any, *, where: str) -> date:
    """A whole day: a date as YAML reads it, or as the policy set writes it (`2026-01-01`)."""
    if type(value) is date:
        return value
    try:
        day = date.fromisoformat(value)
    except (TypeError, ValueError):
        day = None
    if day is None or day.isoformat() != value:
        raise InvalidAgreement(where, expected=A_DAY)
    return day


def _retention(document: Mapping[str, Any], source: str) -> str:
    text = _text(document, "retention", source)
    if not _DURATION.fullmatch(text):
        raise InvalidAgreement(
            f"{source}: retention", got=ascii(text), expected="an ISO 8601 duration such as P2Y"
        )
    return text


def _positive(value: Any, *, where: str) -> int:
    if type(value) is not int or not 0 < value < 1_000_000:
        raise InvalidAgreement(where, expected="a whole number above 0")
    return value


def _distinct(paths: Sequence[str], *, where: str) -> None:
    if len(paths) > MAX_FIELDS:
        raise InvalidAgreement(
            f"{where}: too many fields",
            got=len(paths),
            expected=f"at most {MAX_FIELDS}, which a record can name",
        )
    repeated = sorted(path for path, times in Counter(paths).items() if times > 1)
    if repeated:
        raise InvalidAgreement(f"{where}: a field is named twice", got=repeated)
