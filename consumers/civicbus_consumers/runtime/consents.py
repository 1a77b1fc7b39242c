"""The consents of many subjects, within 16 bytes of memory for each subject.

Bodies lie in a file without a name, which ends with the process. Memory holds, in open addressing,
four bytes of each key's digest and four that say where its body lies. A slot follows from these
bytes alone, so that growing reads no file; the whole digest stands beside the body.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import weakref
from array import array

from civicbus_schemas.codec import unframe
from civicbus_schemas.consent import NO_CONSENTS, SubjectConsents
from civicbus_schemas.errors import Stopped

_ENTRY = struct.Struct("<16sII")  # digest of the key, length of the body, room for it
_UNIT = 8
_READ_BYTES = 512  # most entries come with one read
_FIRST_SLOTS = 1024
_FULLEST, _GROWTH = 0.8, 1.5
MAX_BYTES = _UNIT * 2**32


class ConsentStore:
    """States of consents by topic pseudonym; what was put last holds. For one thread.

    A body that has outgrown its room is written anew, so that the file grows with every such change
    until the process starts again.
    """

    def __init__(self) -> None:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # ends with this object
        weakref.finalize(self, file.close)
        self._fd, self._end = file.fileno(), 1  # in units; 0 is an empty slot
        self._tags, self._places = _empty(_FIRST_SLOTS)
        self._count = 0

    def __len__(self) -> int:
        """How many subjects there are."""
        return self._count

    @property
    def memory_bytes(self) -> int:
        """What its slots take of memory."""
        return len(self._places) * (self._tags.itemsize + self._places.itemsize)

    def put(self, key: bytes, value: bytes | None) -> None:
        """Take the newest state of a subject, a framed body.

        Raises `InvalidBytes` for what is none, `Stopped` when the file is full.
        """
        _, body = unframe(value)
        digest = _digest(key)
        slot, room = self._find(digest)
        if room is not None and len(body) <= room:
            self._write(self._places[slot], digest, body, room=room)
            return
        self._places[slot] = self._append(digest, body)
        if room is None:
            self._tags[slot] = _tag(digest)
            self._count += 1
            if self._count > _FULLEST * len(self._places):
                self._grow()

    def get(self, key: bytes) -> SubjectConsents:
        """All consents of the subject with this topic pseudonym."""
        digest = _digest(key)
        slot, room = self._find(digest)
        return NO_CONSENTS if room is None else self._read(self._places[slot])

    def _find(self, digest: bytes) -> tuple[int, int | None]:
        """The slot of a key and the room of its body; without room the slot where it belongs."""
        tags, places, tag = self._tags, self._places, _tag(digest)
        slot = tag * len(places) >> 32
        while place := places[slot]:
            if tags[slot] == tag:
                found, _, room = _ENTRY.unpack(os.pread(self._fd, _ENTRY.size, place * _UNIT))
                if found == digest:
                    return slot, room
            slot = (slot + 1) % len(places)
        return slot, None

    def _read(self, place: int) -> SubjectConsents:
        start = place * _UNIT
        data = os.pread(self._fd, _READ_BYTES, start)
        _, length, _ = _ENTRY.unpack_from(data)
        end = _ENTRY.size + length
        if end > len(data):
            data = os.pread(self._fd, end, start)
        return SubjectConsents.decode(data[_ENTRY.size : end])

    def _append(self, digest: bytes, body: bytes) -> int:
        place, units = self._end, -(-(_ENTRY.size + len(body)) // _UNIT)
        if (place + units) * _UNIT > MAX_BYTES:
            raise Stopped(
                "the consents' file is full", expected=f"at most {MAX_BYTES} bytes of changes",
                next_step="start again: it is written anew from the state topic",
            )  # fmt: skip
        self._write(place, digest, body, room=units * _UNIT - _ENTRY.size)
        self._end = place + units
        return place

    def _write(self, place: int, digest: bytes, body: bytes, *, room: int) -> None:
        entry = _ENTRY.pack(digest, len(body), room) + body
        written = os.pwrite(self._fd, entry, place * _UNIT)
        if written != len(entry):
            raise Stopped("the consents' file cannot be written", got=f"{written} bytes of it")

    def _grow(self) -> None:
        """More slots; tags keep their order, so that no key is needed."""
        old_tags, old_places = self._tags, self._places
        tags, places = _empty(int(len(old_places) * _GROWTH))
        slots = len(places)
        for tag, place in zip(old_tags, old_places, strict=True):
            if place:
                slot = tag * slots >> 32
                while places[slot]:
                    slot = (slot + 1) % slots
                tags[slot], places[slot] = tag, place
        self._tags, self._places = tags, places


def _empty(slots: int) -> tuple[array[int], array[int]]:
    return array("I", bytes(4 * slots)), array("I", bytes(4 * slots))


def _digest(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=16).digest()


def _tag(digest: bytes) -> int:
    return int.from_bytes(digest[:4])
