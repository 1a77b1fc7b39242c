"""What may be asked of the ledger over HTTP: C2SP tlog-tiles, and two kinds of proof. Pure.

A request has one spelling. What is unknown, repeated, signed, padded or out of order is refused
with a `Problem` that says what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Never

from civicbus_schemas.errors import InvalidBytes, Refused
from civicbus_schemas.ids import hex_id

from civicbus_audit.canonical import parse_decimal
from civicbus_audit.tiles import ENTRIES, Tile

_MAX_TARGET = 512
_PARAMETER = re.compile(r"([a-z]+)=([^=&]*)")


class Code(StrEnum):
    """Why there is no answer, in words that stay."""

    MALFORMED = "malformed-request"
    UNKNOWN_PATH = "unknown-path"
    WRONG_METHOD = "wrong-method"
    TOKEN_REQUIRED = "token-required"  # noqa: S105 (a code, no secret)
    NOT_PUBLISHED = "not-published"
    NO_SUCH_LEAF = "no-such-leaf"
    PRUNED = "pruned"
    BUSY = "busy"
    LEDGER_BROKEN = "ledger-broken"
    LEDGER_UNAVAILABLE = "ledger-unavailable"


_STATUS = {
    Code.MALFORMED: HTTPStatus.BAD_REQUEST,
    Code.UNKNOWN_PATH: HTTPStatus.NOT_FOUND,
    Code.WRONG_METHOD: HTTPStatus.METHOD_NOT_ALLOWED,
    Code.TOKEN_REQUIRED: HTTPStatus.UNAUTHORIZED,
    Code.NOT_PUBLISHED: HTTPStatus.NOT_FOUND,
    Code.NO_SUCH_LEAF: HTTPStatus.NOT_FOUND,
    Code.PRUNED: HTTPStatus.GONE,
    Code.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.LEDGER_BROKEN: HTTPStatus.INTERNAL_SERVER_ERROR,
    Code.LEDGER_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Problem(Refused):
    """A refusal as RFC 9457 tells it."""

    def __init__(
        self, code: Code, what: str, *, got: object = None, expected: object = None
    ) -> None:
        super().__init__(what, got=got, expected=expected)
        self.code, self.status = code, _STATUS[code]

    @property
    def document(self) -> dict[str, object]:
        """The members of the problem document; what was not told is left out."""
        members = {
            "type": f"urn:civicbus:problem:{self.code}",
            "title": self.what,
            "status": self.status.value,
            "code": self.code.value,
            "got": self.got,
            "expected": self.expected,
        }
        return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class AskCheckpoint:
    """The newest checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskTile:
    """A tile, or an entry bundle."""

    tile: Tile

    @property
    def restricted(self) -> bool:
        """Whether it holds leaves, which are about people, and not only hashes."""
        return self.tile.level == ENTRIES


@dataclass(frozen=True, slots=True, kw_only=True)
class AskInclusion:
    """The proof of a leaf, by its number or by its record's id; `size` None is the newest."""

    index: int | None = None
    id: str | None = None
    size: int | None = None

    @property
    def restricted(self) -> bool:
        """Whether leaves must be read for it, which hashes answer by index."""
        return self.id is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskConsistency:
    """The proof that the tree of size `old` is the beginning of the tree of size `new`."""

    old: int
    new: int


Question = AskCheckpoint | AskTile | AskInclusion | AskConsistency


def parse_target(target: str) -> Question:
    """The question of a request's target (path and query); raises `Problem`."""
    if len(target) > _MAX_TARGET:
        _malformed("the target is too long", got=len(target), expected=f"≤ {_MAX_TARGET}")
    path, mark, query = target.partition("?")
    match path:
        case "/proof/inclusion":
            return _inclusion(_parameters(query, allowed=("index", "id", "size")))
        case "/proof/consistency":
            return _consistency(_parameters(query, allowed=("from", "to")))
    if mark:
        _malformed("there are no parameters here", expected="a path alone")
    if path == "/checkpoint":
        return AskCheckpoint()
    if path.startswith("/tile/"):
        try:
            return AskTile(tile=Tile.parse(path[1:]))
        except InvalidBytes as error:
            _malformed(error.what, expected=error.expected or "tile/<L>/<N>[.p/<W>]")
    raise Problem(
        Code.UNKNOWN_PATH,
        "there is nothing at this path",
        expected="/checkpoint, /tile/…, /proof/inclusion or /proof/consistency",
    )


def _inclusion(given: Mapping[str, str]) -> AskInclusion:
    if ("index" in given) == ("id" in given):
        _malformed("which leaf is meant is not clear", expected="either index=… or id=…")
    asked = AskInclusion(
        index=_decimal(given, "index") if "index" in given else None,
        id=_id(given["id"]) if "id" in given else None,
        size=_decimal(given, "size") if "size" in given else None,
    )
    if asked.index is not None and asked.size is not None and asked.index >= asked.size:
        _malformed("the index lies outside the tree", expected="index < size")
    return asked


def _consistency(given: Mapping[str, str]) -> AskConsistency:
    if given.keys() != {"from", "to"}:
        _malformed("two sizes are needed", expected="from=…&to=…")
    asked = AskConsistency(old=_decimal(given, "from"), new=_decimal(given, "to"))
    if not 0 < asked.old <= asked.new:
        _malformed("the sizes are out of order", expected="0 < from ≤ to")
    return asked


def _parameters(query: str, *, allowed: tuple[str, ...]) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in query.split("&"):
        match = _PARAMETER.fullmatch(part)
        if not match or match[1] not in allowed:
            _malformed("an unknown parameter", expected=", ".join(allowed))
        if match[1] in given:
            _malformed(f"{match[1]} is given twice", expected="each parameter once")
        given[match[1]] = match[2]
    return given


def _decimal(given: Mapping[str, str], name: str) -> int:
    try:
        return parse_decimal(given[name], what=name)
    except InvalidBytes as error:
        _malformed(error.what, expected=error.expected)


def _id(text: str) -> str:
    try:
        return hex_id(text, what="id")
    except Refused as error:
        _malformed(error.what, expected=error.expected)


def _malformed(what: str, *, got: object = None, expected: object = None) -> Never:
    raise Problem(Code.MALFORMED, what, got=got, expected=expected)
