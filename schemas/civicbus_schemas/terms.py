"""The terms of a nation's policy: agencies, purposes and legal bases, as data with checked shapes.

Whether they fit each other and the agreements is checked by `policy`, which sees the whole set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.ids import AgencyId, agency_id, dotted_id, word_id
from civicbus_schemas.vocabulary import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """A name for people, in Vietnamese and English."""

    vi: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """A principal of the bus: families it publishes and receives, and views it keeps.

    `data_protection` says whether its officers may approve agreements as the data protection.
    """

    id: AgencyId
    names: Title
    kind: str
    publishes: tuple[str, ...]
    receives: tuple[str, ...]
    keeps: tuple[str, ...]
    data_protection: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What data may be used for, the function or duty behind it, and the bases it may rest on.

    `groups` are what national rules call it by, such as all one-stop procedures.
    """

    id: str
    titles: Title
    function: str
    bases: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """A legal ground: its article, whether it is consent, and which kinds of agencies it serves.

    `sensitive` says whether sensitive data may rest on it, `access` which kinds of look-ups may.
    """

    id: str
    titles: Title
    article: str
    needs_consent: bool
    sensitive: bool
    recipient_kinds: tuple[str, ...]
    access: tuple[Access, ...]


def parse_agency(name: str, body: Any) -> Agency:
    """The agency of that id; raises `InvalidAgreement` or `InvalidIdentifier`."""
    where = f"agency {name!a}"
    keys = {"names", "kind", "publishes", "receives", "keeps", "data_protection"}
    exactly(body, keys, where=where)
    return Agency(
        id=agency_id(name),
        names=_title(body["names"], where=where),
        kind=text(body["kind"], where=where),
        publishes=_texts(body["publishes"], where=where),
        receives=_texts(body["receives"], where=where),
        keeps=_texts(body["keeps"], where=where),
        data_protection=_flag(body, "data_protection", where=where),
    )


def parse_purpose(name: str, body: Any) -> Purpose:
    """The purpose of that id; raises `InvalidAgreement` or `InvalidIdentifier`."""
    where = f"purpose {name!a}"
    exactly(body, {"titles", "function", "bases", "groups"}, where=where)
    return Purpose(
        id=dotted_id(name, what="purpose"),
        titles=_title(body["titles"], where=where),
        function=text(body["function"], where=where),
        bases=_texts(body["bases"], where=where),
        groups=tuple(
            word_id(name, what="group of purposes") for name in _texts(body["groups"], where=where)
        ),
    )


def parse_basis(name: str, body: Any) -> Basis:
    """The legal basis of that id; raises `InvalidAgreement` or `InvalidIdentifier`."""
    where = f"legal basis {name!a}"
    keys = {"titles", "article", "needs_consent", "sensitive", "recipient_kinds", "access"}
    exactly(body, keys, where=where)
    return Basis(
        id=dotted_id(name, what="legal basis"),
        titles=_title(body["titles"], where=where),
        article=text(body["article"], where=where),
        needs_consent=_flag(body, "needs_consent", where=where),
        sensitive=_flag(body, "sensitive", where=where),
        recipient_kinds=_texts(body["recipient_kinds"], where=where),
        access=_access(body["access"], where=where),
    )


def _access(value: Any, *, where: str) -> tuple[Access, ...]:
    names = _texts(value, where=where)
    if not set(names) <= set(Access):
        raise InvalidAgreement(f"{where}: access", got=names, expected=list(Access))
    return tuple(map(Access, names))


def _title(body: Any, *, where: str) -> Title:
    exactly(body, {"vi", "en"}, where=where)
    return Title(vi=text(body["vi"], where=where), en=text(body["en"], where=where))


def text(value: Any, *, where: str) -> str:
    """The value, which must be a text with something in it."""
    if not isinstance(value, str) or not value:
        raise InvalidAgreement(where, got=type(value).__name__, expected="a text")
    return value


def _flag(body: dict[str, Any], key: str, *, where: str) -> bool:
    value = body[key]
    if not isinstance(value, bool):
        raise InvalidAgreement(f"{where}: {key}", expected="true or false")
    return value


def _texts(value: Any, *, where: str) -> tuple[str, ...]:
    return tuple(text(item, where=where) for item in entries(value, where=where))


def entries(value: Any, *, where: str) -> list[Any]:
    """The value, which must be a list."""
    if not isinstance(value, list):
        raise InvalidAgreement(where, got=type(value).__name__, expected="a list")
    return value


def exactly(body: Any, keys: set[str], *, where: str) -> None:
    """Refuse what is no object with these keys and no others."""
    if not isinstance(body, dict) or set(body) != keys:
        got = sorted(body) if isinstance(body, dict) else type(body).__name__
        raise InvalidAgreement(where, got=got, expected=sorted(keys))
