"""A log as its stored bytes tell it: leaves, hashes, proofs. Nothing that is read is trusted here.

The bytes come through one function, so that the same code reads a directory, a staged append or a
copy in memory. Whoever needs certainty recounts (`recount`) and compares with a signed checkpoint.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice

from civicbus_schemas.errors import EvidenceBroken, Refused, Unavailable

from civicbus_audit.merkle import inclusion_proof, perfect_root
from civicbus_audit.minimum import MINIMUM, Minimum
from civicbus_audit.proof import LogProof
from civicbus_audit.sealed import decode_sealed, sealed_path
from civicbus_audit.tiles import (
    ENTRIES,
    WIDTH,
    Tile,
    decode_bundle,
    decode_hashes,
    entry_of,
    tile_at,
)

CHECKPOINT = "checkpoint"
PENDING = "pending"  # signed by the log, and not yet by enough witnesses

Read = Callable[[str], bytes]
"""The bytes at a path relative to the ledger; raises `FileNotFoundError`."""

Progress = Callable[[int], None]
"""Told the number of leaves passed so far, once a bundle."""

_CACHED_TILES = 64


class LeafPruned(Refused):
    """The leaf was pruned after its retention; its hash is there, its content is not."""


class StoredLog:
    """The first `size` leaves of a stored log; of those before `first`, only the hashes.

    Whoever has `first` from a pruned ledger has it from `pruning.open_log`, which proves it.
    """

    def __init__(self, read: Read, size: int, *, first: int = 0, held: int | None = None) -> None:
        self._read, self.size, self.first = read, size, first
        self._held = size if held is None else held  # the size whose tiles there are
        self._last_bundle: tuple[int, list[bytes]] = (-1, [])
        self._last_leaf = -1
        self._last_sealed: tuple[int, list[bytes]] = (-1, [])
        self._cache: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    def __reduce__(self) -> tuple[Callable[..., StoredLog], tuple[Read, int]]:
        """Whoever is handed the log reads for himself."""
        opened = partial(StoredLog, first=self.first, held=self._held)
        return opened, (self._read, self.size)

    def prefix(self, size: int) -> StoredLog:
        """The same log when it had this size, though it may never have been stored in it."""
        return StoredLog(self._read, size, first=min(self.first, size), held=self._held)

    @property
    def bundles(self) -> range:
        """The numbers of the bundles that are kept."""
        return range(self.first // WIDTH, -(-self.size // WIDTH))

    def bundle(self, index: int) -> list[bytes]:
        """The entries of the index-th bundle; raises `LeafPruned`."""
        if index not in self.bundles:
            self._check_kept((index + 1) * WIDTH - 1)
        if self._last_bundle[0] != index:
            width = tile_at(ENTRIES, index, size=self.size).width
            data, stored = self._held_bytes(ENTRIES, index)
            self._last_bundle = index, decode_bundle(data, stored)[:width]
        return self._last_bundle[1]

    def hashes(self, level: int, index: int) -> list[bytes]:
        """The hashes of the index-th tile of a level."""
        if (level, index) in self._cache:
            self._cache.move_to_end((level, index))
            return self._cache[level, index]
        width = tile_at(level, index, size=self.size).width
        data, stored = self._held_bytes(level, index)
        hashes = self._cache[level, index] = decode_hashes(data, stored)[:width]
        if len(self._cache) > _CACHED_TILES:
            self._cache.popitem(last=False)
        return hashes

    def node(self, height: int, index: int) -> bytes:
        """The hash of a complete subtree, as the tiles have it (`merkle.Nodes`)."""
        level, rest = divmod(height, 8)
        tile, first = divmod(index << rest, WIDTH)
        return perfect_root(self.hashes(level, tile)[first : first + (1 << rest)])

    def leaf(self, index: int) -> bytes:
        """One leaf; raises `LeafPruned` for one before `first`."""
        if not 0 <= index < self.size:
            raise Refused("no such leaf", got=f"index {index}", expected=f"less than {self.size}")
        self._check_kept(index)
        number, place = divmod(index, WIDTH)
        if number in (self._last_bundle[0], self._last_leaf):  # whoever comes again reads on there
            return self.bundle(number)[place]
        self._last_leaf = number
        data, stored = self._held_bytes(ENTRIES, number)
        return entry_of(data, stored, place)

    def sealed(self, index: int) -> bytes:
        """The sealed part beside a leaf; empty where there is none, or where it was erased."""
        number = index // WIDTH
        if self._last_sealed[0] != number:
            self._last_sealed = number, self._sealed_parts(number)
        parts = self._last_sealed[1]
        return parts[index % WIDTH] if parts else b""

    def leaves(self, start: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Leaf indexes and leaves from `start` on, or from the first that is kept."""
        start = self.first if start is None else start
        self._check_kept(start)
        for bundle in range(start // WIDTH, -(-self.size // WIDTH)):
            numbered = enumerate(self.bundle(bundle), bundle * WIDTH)
            yield from islice(numbered, max(0, start - bundle * WIDTH), None)

    def containing(
        self, content: bytes, bundles: Iterable[int] | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """The leaves in which these bytes occur, in these bundles; without any, in all in order."""
        for number in self.bundles if bundles is None else bundles:
            data, _ = self._held_bytes(ENTRIES, number)
            if content in data:
                for index, entry in enumerate(self.bundle(number), number * WIDTH):
                    if content in entry and index >= self.first:
                        yield index, entry

    def prove(self, index: int, *, checkpoint: bytes) -> LogProof:
        """The proof of a leaf under this size's checkpoint; the leaf goes with it."""
        return LogProof(
            index=index,
            hashes=inclusion_proof(index, self.size, self.node),
            checkpoint=checkpoint,
            extra=self.leaf(index),
        )

    def stored(self, tile: Tile) -> bytes:
        """The bytes of a tile, or of the full one that has taken its place since."""
        return self._bytes(tile)[0]

    def _sealed_parts(self, number: int) -> list[bytes]:
        bundle = tile_at(ENTRIES, number, size=self._held)
        for candidate in (bundle, Tile(level=ENTRIES, index=number)):
            try:
                return decode_sealed(self._read(sealed_path(candidate)), candidate)
            except FileNotFoundError:
                continue
        return []

    def _held_bytes(self, level: int | str, index: int) -> tuple[bytes, Tile]:
        return self._bytes(tile_at(level, index, size=self._held))

    def _bytes(self, tile: Tile) -> tuple[bytes, Tile]:
        full = Tile(level=tile.level, index=tile.index)
        for candidate in (tile, full):
            try:
                return self._read(candidate.path), candidate
            except FileNotFoundError:
                continue
        if tile.level == ENTRIES:
            self._check_not_pruned_since(tile)
        raise EvidenceBroken(f"{tile.path} is missing")

    def _check_kept(self, index: int) -> None:
        if index < self.first:
            raise LeafPruned(
                "this leaf was pruned after its retention",
                got=f"leaf {index}",
                expected=f"one from {self.first} on",
                next_step="ask whoever keeps a mirror; its hash is still proved",
            )

    def _check_not_pruned_since(self, tile: Tile) -> None:
        """Raises `Unavailable` where the ledger was pruned while it was read; nothing is proved."""
        try:
            now = Minimum.decode(self._read(MINIMUM)).minimum
        except FileNotFoundError:
            return
        if self.first < now and tile.index * WIDTH < now:
            raise Unavailable("the ledger was pruned while it was read", next_step="read it again")
