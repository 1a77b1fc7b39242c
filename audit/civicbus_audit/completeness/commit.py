"""A leaf of kind `index.commit`: the root of what the leaves before it are filed under. Pure.

It stands at `end` and covers the leaves from `first`, where the commit before it stands, so that
each leaf before the newest commit belongs to exactly one. It is a function of those leaves, but
for `at`: whoever has the leaves makes it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from civicbus_schemas.codec import AvroType
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.shapes import MICROS, fixed, nullable, struct
from civicbus_schemas.vocabulary import RecordKind

from civicbus_audit.canonical import HASH_BYTES
from civicbus_audit.completeness.filing import By, Name, Register, is_known
from civicbus_audit.completeness.tree import Head, KeyTree

VERSION = 1
INDEX_COMMIT = AvroType(
    struct(
        "IndexCommit",
        namespace="civicbus.audit",
        v="int",
        kind="string",
        at=MICROS,
        first="long",
        end="long",
        earliest=nullable(MICROS),
        latest=nullable(MICROS),
        unreadable="long",
        keys="long",
        root=fixed("Hash", HASH_BYTES),
        salts=fixed("Salts", HASH_BYTES * len(By)),
    )
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexCommit:
    """What one commit says of the leaves from `first` up to `end`, where it stands itself.

    `at`: the beginning of the period of log time that the page behind it came in. `earliest` and
    `latest`: the times that records in the range name. `unreadable`: leaves that are filed nowhere
    because nobody can read them.
    """

    at: datetime
    first: int
    end: int
    earliest: datetime | None
    latest: datetime | None
    unreadable: int
    head: Head

    def overlaps(self, since: datetime | None, until: datetime | None) -> bool:
        """Whether a record in the range may name a time from `since` up to `until`."""
        if self.earliest is None or self.latest is None:
            return False
        return (since is None or self.latest >= since) and (until is None or self.earliest < until)

    def encode(self) -> bytes:
        """The leaf's exact bytes."""
        return INDEX_COMMIT.encode_single_object(
            {
                "v": VERSION,
                "kind": RecordKind.INDEX_COMMIT,
                "at": self.at,
                "first": self.first,
                "end": self.end,
                "earliest": self.earliest,
                "latest": self.latest,
                "unreadable": self.unreadable,
                "keys": self.head.keys,
                "root": self.head.root,
                "salts": b"".join(self.head.salts),
            }
        )

    @classmethod
    def decode(cls, leaf: bytes) -> IndexCommit:
        """The commit of a leaf; raises `InvalidBytes`."""
        datum = INDEX_COMMIT.decode_single_object(leaf)
        version, kind = datum.pop("v"), datum.pop("kind")
        if (version, kind) != (VERSION, RecordKind.INDEX_COMMIT):
            raise InvalidBytes("an index commit of another version", expected=VERSION)
        if not 0 <= datum["first"] < datum["end"] or datum["keys"] < 0:
            raise InvalidBytes("an index commit covers no leaves")
        salts = datum.pop("salts")
        parts = (salts[at : at + HASH_BYTES] for at in range(0, len(salts), HASH_BYTES))
        head = Head(keys=datum.pop("keys"), root=datum.pop("root"), salts=tuple(parts))
        return cls(**datum, head=head)


class Tally:
    """The leaves since the last commit, by what they are filed under; grows with them.

    It takes some 100 bytes a leaf, which `MAX_LEAVES` bounds.
    """

    def __init__(self, first: int) -> None:
        self.first = self.end = first
        self._register = Register()
        self._seed = sha256(first.to_bytes(8, "big"))
        self._unreadable = 0
        self._tree: KeyTree | None = None

    def add(self, leaf: bytes) -> None:
        """Takes in the next leaf."""
        self.extend((leaf,))

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Takes in the next leaves, many in less time than one by one."""
        self._tree = None
        update = self._seed.update
        for leaf in leaves:
            update(len(leaf).to_bytes(4, "big") + leaf)
        for leaf in self._register.file(leaves, first=self.end):
            self._unreadable += not (is_known(leaf) or INDEX_COMMIT.wrote(leaf))
        self.end += len(leaves)

    def tree(self) -> KeyTree:
        """The tree of all names, counted once for the same leaves."""
        if self._tree is None:
            self._tree = KeyTree(seed=self._seed.digest(), filed=self._register.all())
        return self._tree

    def leaves_under(self, name: Name) -> Sequence[int]:
        """The leaves that are filed under a name."""
        return self._register.under(name.key)

    def commit(self, at: datetime) -> IndexCommit:
        """The commit of what there is, to stand behind it; raises `ValueError` of nothing."""
        if self.end == self.first:
            raise ValueError("a commit covers leaves")
        return IndexCommit(
            at=at,
            first=self.first,
            end=self.end,
            earliest=_time(self._register.earliest),
            latest=_time(self._register.latest),
            unreadable=self._unreadable,
            head=self.tree().head,
        )


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)
