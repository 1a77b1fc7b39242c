"""The sorted tree of one index commit: what is in it, and that something is not. Pure.

An entry is a key and a hash of the leaves' numbers filed under it; entries are sorted by key and
are the leaves of an RFC 6962 tree. Both are hashed with a salt, which each commit has anew for
each sort. A proof tells the salts of the sorts that it answers for, so neighbours and siblings of
other sorts are blind to its reader, whatever names he knows. The salts come from the covered leaves
(their random bytes among them), so whoever has these makes the tree again, and nobody else does.
The commit holds the salts' hashes, so that no other salt serves.

    salt  = SHA-256("civicbus.index.salt" ‖ 0x00 ‖ by ‖ 0x00 ‖ seed)
    key   = SHA-256("civicbus.index.key" ‖ 0x00 ‖ salt ‖ name)
    entry = key ‖ SHA-256("civicbus.index.places" ‖ 0x00 ‖ salt ‖ the leaves' numbers as uint64)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from struct import pack

from civicbus_schemas.errors import EvidenceBroken

from civicbus_audit.canonical import HASH_BYTES
from civicbus_audit.completeness.filing import By, Filed
from civicbus_audit.merkle import leaf_hash, root_of_range
from civicbus_audit.multiproof import multiproof, root_of_some

ENTRY_BYTES = 2 * HASH_BYTES
_SALT, _KEY = b"civicbus.index.salt\x00", b"civicbus.index.key\x00"
_PLACES = b"civicbus.index.places\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """The entry at `place` holds the numbers of these leaves; `proof` leads to the root."""

    place: int
    leaves: tuple[int, ...]
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """No entry: its place would be `place`, between these neighbours (at the edges, only one)."""

    place: int
    neighbours: tuple[bytes, ...]
    proof: tuple[bytes, ...]


Answer = Present | Absent


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a commit says of its tree: how many keys, the root, the salts' hashes as `By` orders."""

    keys: int
    root: bytes
    salts: tuple[bytes, ...]

    def check(self, answer: Answer, name: Filed, *, salt: bytes) -> tuple[int, ...]:
        """The leaves that the answer proves to be filed under this name, none if it is absent.

        Raises `EvidenceBroken` if it proves nothing, and if the salt is another than the commit's.
        """
        if sha256(salt).digest() != self.salts[[*By].index(name[0])]:
            raise EvidenceBroken("a salt is not the one that the commit was made with")
        key = _key(name, salt)
        match answer:
            case Present(leaves=leaves):
                if not leaves or any(a >= b for a, b in pairwise(leaves)):
                    raise EvidenceBroken("the leaves of an entry are not in ascending order")
                entries = {answer.place: _entry(key, leaves, salt)}
            case Absent(neighbours=neighbours):
                leaves = ()
                entries = _between(key, answer.place, neighbours, count=self.keys)
        hashes = {place: leaf_hash(entry) for place, entry in entries.items()}
        if root_of_some(hashes, self.keys, answer.proof) != self.root:
            raise EvidenceBroken("a proof does not lead to the commit's root")
        return leaves


@dataclass(frozen=True)
class KeyTree:
    """The tree of the leaves of one range by name; `seed`: a hash of all bytes of these leaves."""

    seed: bytes
    filed: Mapping[Filed, Sequence[int]]

    @property
    def head(self) -> Head:
        """What a commit says of it."""
        keys = len(self._entries)
        salts = tuple(sha256(self.salts[by]).digest() for by in By)
        return Head(keys=keys, root=root_of_range(0, keys, self._node), salts=salts)

    @cached_property
    def salts(self) -> Mapping[By, bytes]:
        """The salt of each sort; to be told only with answers for that sort."""
        return {by: sha256(_SALT + by.encode() + b"\x00" + self.seed).digest() for by in By}

    def answer(self, name: Filed) -> Answer:
        """The proof of what is filed under a name, or that nothing is."""
        key = _key(name, self.salts[name[0]])
        place, count = bisect_left(self._entries, key), len(self._entries)
        if leaves := self.filed.get(name):
            proof = multiproof([place], count, self._node)
            return Present(place=place, leaves=tuple(leaves), proof=tuple(proof))
        around = _around(place, count)
        neighbours = tuple(self._entries[at] for at in around)
        proof = multiproof(around, count, self._node)
        return Absent(place=place, neighbours=neighbours, proof=tuple(proof))

    @cached_property
    def _entries(self) -> list[bytes]:
        salts = self.salts
        return sorted(
            _entry(_key(name, salt := salts[name[0]]), leaves, salt)
            for name, leaves in self.filed.items()
        )

    @cached_property
    def _levels(self) -> list[list[bytes]]:
        """The hashes of all complete subtrees, by height."""
        levels = [[leaf_hash(entry) for entry in self._entries]]
        while len(levels[-1]) > 1:
            below = iter(levels[-1])
            pairs = zip(below, below, strict=False)
            levels.append([sha256(b"\x01" + a + b).digest() for a, b in pairs])
        return levels

    def _node(self, height: int, index: int) -> bytes:
        return self._levels[height][index]


def _key(name: Filed, salt: bytes) -> bytes:
    return sha256(_KEY + salt + name[1]).digest()


def _entry(key: bytes, leaves: Sequence[int], salt: bytes) -> bytes:
    numbers = pack(f">{len(leaves)}Q", *leaves)
    return key + sha256(_PLACES + salt + numbers).digest()


def _around(place: int, count: int) -> list[int]:
    return [at for at in (place - 1, place) if 0 <= at < count]


def _between(
    key: bytes, place: int, neighbours: Sequence[bytes], *, count: int
) -> dict[int, bytes]:
    """The neighbours by place, if a missing entry belongs between them.

    A place outside would have none, and then nothing would be proved.
    """
    around = _around(place, count)
    if not 0 <= place <= count:
        raise EvidenceBroken("the place of a missing entry lies outside the tree")
    if len(neighbours) != len(around) or any(len(n) != ENTRY_BYTES for n in neighbours):
        raise EvidenceBroken("the neighbours of a missing entry are others than its place has")
    for at, neighbour in zip(around, neighbours, strict=True):
        if not (neighbour[:HASH_BYTES] < key if at < place else key < neighbour[:HASH_BYTES]):
            raise EvidenceBroken("a missing entry does not belong between its neighbours")
    return dict(zip(around, neighbours, strict=True))
