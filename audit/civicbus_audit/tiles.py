"""C2SP tlog-tiles: which file holds which hashes and entries. Pure: coordinates, paths, encoding.

A tile holds up to 256 hashes of one level; level L counts in units of 256^L leaves. Entry bundles
lie like level 0 and hold the leaves themselves, each behind its length (uint16, big-endian).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from civicbus_schemas.errors import Refused, TooLarge

from civicbus_audit.canonical import HASH_BYTES, malformed

WIDTH = 256
MAX_LEAF_BYTES = 65_535
MAX_LEVEL = 63
ENTRIES = "entries"

_PATH = re.compile(
    r"tile/(0|[1-9][0-9]?|entries)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A tile's place: its level (`ENTRIES` for a bundle), its index there, and its width."""

    level: int | str
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if self.level != ENTRIES and not (
            isinstance(self.level, int) and 0 <= self.level <= MAX_LEVEL
        ):
            raise Refused("no such tile level", got=ascii(self.level), expected=f"0 to {MAX_LEVEL}")
        if self.index < 0 or not 1 <= self.width <= WIDTH:
            raise Refused("no such tile", got=f"index {self.index}, width {self.width}")

    @property
    def partial(self) -> bool:
        """Whether it is narrower than 256."""
        return self.width < WIDTH

    @property
    def path(self) -> str:
        """Its path under the ledger, such as `tile/0/x001/x234/067.p/12`."""
        return f"tile/{self.level}/{index_path(self.index)}" + (
            f".p/{self.width}" if self.partial else ""
        )

    @classmethod
    def parse(cls, path: str) -> Tile:
        """The tile at a path; raises `InvalidBytes` unless it is the only spelling of it."""
        if not (match := _PATH.fullmatch(path)):
            malformed("not a tile's path", got=ascii(path[:80]))
        level, index, width = match.groups()
        try:
            tile = cls(
                level=level if level == ENTRIES else int(level),
                index=int(index.replace("x", "").replace("/", "")),
                width=int(width or WIDTH),
            )
        except Refused:
            malformed("not a tile's path", got=ascii(path[:80]))
        if tile.path != path:
            malformed("not the canonical path of a tile", got=path, expected=tile.path)
        return tile


def index_path(index: int) -> str:
    """1234067 as `x001/x234/067`."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


def tile_at(level: int | str, index: int, *, size: int) -> Tile:
    """The tile at this place as a tree of `size` leaves has it."""
    count = size if level == ENTRIES else size >> 8 * int(level)
    return Tile(level=level, index=index, width=min(WIDTH, count - index * WIDTH))


def is_within(tile: Tile, size: int) -> bool:
    """Whether a log of this size, or an older one, may have published this tile."""
    count = size if tile.level == ENTRIES else size >> 8 * int(tile.level)
    return tile.index * WIDTH + tile.width <= count


def changed_tiles(old_size: int, new_size: int) -> Iterator[Tile]:
    """The hash tiles that a tree of `new_size` has and one of `old_size` has not, lowest first."""
    for level in range(MAX_LEVEL + 1):
        old, new = old_size >> 8 * level, new_size >> 8 * level
        if old == new:
            return
        for index in range(old // WIDTH, -(-new // WIDTH)):
            yield tile_at(level, index, size=new_size)


def encode_hashes(hashes: Iterable[bytes]) -> bytes:
    """A tile's bytes."""
    return b"".join(hashes)


def decode_hashes(data: bytes, tile: Tile) -> list[bytes]:
    """The hashes of a tile, exactly as many as it is wide."""
    if len(data) != tile.width * HASH_BYTES:
        malformed(
            f"{tile.path} has the wrong length", got=len(data), expected=tile.width * HASH_BYTES
        )
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """An entry bundle's bytes."""
    for entry in entries:
        check_leaf(entry)
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(data: bytes, tile: Tile) -> list[bytes]:
    """The entries of a bundle, exactly as many as it is wide, with no byte left over."""
    entries, position, end = list[bytes](), 0, len(data)
    while position < end - 1:
        start = position + 2
        position = start + (data[position] << 8 | data[position + 1])
        entries.append(data[start:position])
    if position != end or len(entries) != tile.width:
        malformed(
            f"{tile.path} cannot be read",
            got=f"{len(entries)} entries in {end} bytes",
            expected=f"{tile.width} entries and nothing after them",
        )
    return entries


def entry_of(data: bytes, tile: Tile, place: int) -> bytes:
    """One entry of a bundle, the others unread; raises `InvalidBytes` where there is none."""
    start = end = 0
    try:
        for _ in range(place + 1):
            start = end + 2
            end = start + (data[end] << 8 | data[end + 1])
    except IndexError:
        end = len(data) + 1
    if end > len(data):
        malformed(
            f"{tile.path} cannot be read", got=f"{len(data)} bytes", expected=f"entry {place}"
        )
    return data[start:end]


def check_form(data: bytes, tile: Tile) -> None:
    """Refuses the bytes of a tile or bundle that is not exactly as wide as its name says."""
    if tile.level == ENTRIES:
        decode_bundle(data, tile)
    else:
        decode_hashes(data, tile)


def check_leaf(leaf: bytes) -> None:
    """Refuses a leaf that no bundle can hold."""
    if len(leaf) > MAX_LEAF_BYTES:
        raise TooLarge(
            "a leaf is too long", got=f"{len(leaf)} bytes", expected=f"≤ {MAX_LEAF_BYTES} bytes"
        )
