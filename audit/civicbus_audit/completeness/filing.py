"""Under which names a leaf is filed in an index commit. Pure.

Only the beginning of a record is read, up to its subject: whoever checks a ledger does this for
every leaf of it, and reading records whole would take many times as long. A record
that can be read whole is filed as what it says (tests hold the two against each other); one whose
end cannot be read is filed all the same. Where all texts are short, as nearly everywhere, one
pattern reads the beginning in a fifth of the time, or leaves it to be read piece by piece.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache

from civicbus_schemas.ids import agency_id, hex_id
from civicbus_schemas.page import HEADER_LEAF
from civicbus_schemas.record import RECORD
from civicbus_schemas.shapes import to_micros
from civicbus_schemas.vocabulary import RecordKind

from civicbus_audit.notice import NOTICE

_PSEUDONYM_BYTES = 16
_PRESENT = 2  # the second branch of a union with null
_HEADER = RECORD.single_object_header
_ID_AND_NONCE_BYTES = 32
_TIMES = range(
    to_micros(datetime.min.replace(tzinfo=UTC)), to_micros(datetime.max.replace(tzinfo=UTC)) + 1
)
_SHORT = "|".join(f"\\x{2 * size:02x}.{{{size}}}" for size in range(64))
_SHORT_BEGINNING = re.compile(  # the schema of `RECORD`, from its version to its subject
    re.escape(_HEADER)
    + rf"[\x00-\x7f].{{{_ID_AND_NONCE_BYTES}}}({_SHORT})([\x80-\xff]{{0,9}}[\x00-\x7f])"
    rf"(?:{_SHORT})(?:{_SHORT})(?:\x00|\x02(?:{_SHORT}))(?:\x00|\x02(.{{{_PSEUDONYM_BYTES}}}))"
    rf"(?:\x00|\x02({_SHORT}))(?:\x00|\x02(.{{{_PSEUDONYM_BYTES}}}))".encode("ascii"),
    re.DOTALL,
)


_Beginning = tuple[bytes, int, bytes | None, bytes | None, bytes | None]
"""Kind, time (µs since 1970), officer, recipient and subject, as a record's bytes have them."""


class By(StrEnum):
    """What leaves are filed by.

    Decisions, refusals among them, about a subject; the same of investigations that are told later,
    apart, so that a proof for the citizen need not show them; every record that names an official;
    all decisions for a recipient.
    """

    SUBJECT = "subject"
    DEFERRED = "deferred"
    OFFICER = "officer"
    RECIPIENT = "recipient"

    __hash__ = str.__hash__  # an enum's own is ten times slower, and each leaf asks for it


# by names of this module: to look a member up in its class takes as long as to match the pattern
_SUBJECT, _DEFERRED, _OFFICER, _RECIPIENT = By
_ABOUT = {
    RecordKind.ACCESS_DECISION.encode(): _SUBJECT,
    RecordKind.ACCESS_DEFERRED.encode(): _DEFERRED,
}

_ABOUT_SPELLED = {bytes([2 * len(kind)]) + kind: by for kind, by in _ABOUT.items()}

Filed = tuple[By, bytes]
"""A name as a record's bytes have it, and of which sort it is."""

Filing = tuple[int, tuple[Filed, ...]]
"""A record's time (µs since 1970) and the names that it is filed under, as its bytes have them."""


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """One name to file under: a pseudonym in hex, or an agency's id. Raises `InvalidIdentifier`."""

    by: By
    text: str

    def __post_init__(self) -> None:
        if self.by is By.RECIPIENT:
            agency_id(self.text)
        else:
            hex_id(self.text, what="a pseudonym")

    @property
    def key(self) -> Filed:
        """As a record's bytes have it."""
        spelled = self.text.encode() if self.by is By.RECIPIENT else bytes.fromhex(self.text)
        return self.by, spelled


def filing_of(leaf: bytes) -> Filing | None:
    """Where a record's leaf is filed; None for another leaf, and for one that cannot be read."""
    if not leaf.startswith(_HEADER):
        return None
    try:
        beginning = _find_short_beginning(leaf) or _beginning(leaf)
    except (IndexError, ValueError):
        return None
    kind, at, officer, recipient, subject = beginning
    about, names = _ABOUT.get(kind), list[Filed]()
    if officer is not None:
        names.append((_OFFICER, officer))
    if about is not None:
        if subject is not None:
            names.append((about, subject))
        if recipient is not None:
            names.append((_RECIPIENT, recipient))
    return at, tuple(names)


class Register:
    """The numbers of leaves under the names that they are filed under, as a list for each name.

    `earliest` and `latest`: the times that the records name (µs since 1970).
    """

    def __init__(self) -> None:
        self._under: dict[By, dict[bytes, list[int]]] = {by: defaultdict(list) for by in By}
        self._recipients = dict[bytes, list[int]]()  # the same lists, by the name as it is spelled
        self._spelled: bytes | None = None
        self.earliest: int | None = None
        self.latest: int | None = None

    def file(self, leaves: Iterable[bytes], *, first: int) -> list[bytes]:
        """Files leaves in their order, numbered from `first`; those that are filed nowhere.

        Everybody who checks a ledger does this for each leaf: what `filing_of` does is done here
        at once for those that the pattern reads.
        """
        officers, unfiled = self._under[_OFFICER], list[bytes]()
        abouts = {kind: self._under[by] for kind, by in _ABOUT_SPELLED.items()}
        for number, leaf in enumerate(leaves, first):
            match = _SHORT_BEGINNING.match(leaf)
            if match is None or not self._is_time(match[2]):
                if not self._file_slowly(leaf, number):
                    unfiled.append(leaf)
                continue
            kind, _, officer, recipient, subject = match.groups()
            if officer is not None:
                officers[officer].append(number)
            if (about := abouts.get(kind)) is not None:
                if subject is not None:
                    about[subject].append(number)
                if recipient is not None:
                    (self._recipients.get(recipient) or self._recipient(recipient)).append(number)
        return unfiled

    def under(self, name: Filed) -> Sequence[int]:
        """The leaves under a name."""
        by, key = name
        return self._under[by].get(key, ())

    def all(self) -> dict[Filed, list[int]]:
        """The leaves under each name."""
        each = self._under.items()
        return {(by, name): numbers for by, names in each for name, numbers in names.items()}

    def _is_time(self, spelled: bytes) -> bool:
        if spelled != self._spelled:  # the same for a whole batch
            if (at := _find_time(spelled)) is None:
                return False
            self._see(at)
            self._spelled = spelled
        return True

    def _see(self, at: int) -> None:
        self.earliest = at if self.earliest is None else min(at, self.earliest)
        self.latest = at if self.latest is None else max(at, self.latest)

    def _recipient(self, spelled: bytes) -> list[int]:
        self._recipients[spelled] = self._under[_RECIPIENT][spelled[1:]]
        return self._recipients[spelled]

    def _file_slowly(self, leaf: bytes, number: int) -> bool:
        if (filing := filing_of(leaf)) is None:
            return False
        self._see(filing[0])
        for by, name in filing[1]:
            self._under[by][name].append(number)
        return True


def is_within(leaf: bytes, since: datetime | None, until: datetime | None) -> bool:
    """Whether a record that is filed names a time from `since` up to `until`."""
    if (filing := filing_of(leaf)) is None:
        return False
    after = since is None or filing[0] >= to_micros(since)
    return after and (until is None or filing[0] < to_micros(until))


def is_filed_under(leaf: bytes, name: Name) -> bool:
    """Whether a leaf is filed under a name."""
    filing = filing_of(leaf)
    return filing is not None and name.key in filing[1]


def is_known(leaf: bytes) -> bool:
    """Whether a leaf that is not filed is one of those that have no names."""
    return HEADER_LEAF.wrote(leaf) or NOTICE.wrote(leaf)


def _beginning(leaf: bytes) -> _Beginning:
    """Piece by piece; raises `IndexError` or `ValueError`."""
    _, place = _whole(leaf, len(_HEADER))  # the version
    kind, place = _bytes(leaf, place + _ID_AND_NONCE_BYTES)
    at, place = _whole(leaf, place)
    if at not in _TIMES:
        raise ValueError
    _, place = _bytes(leaf, place)  # the actor's agency
    _, place = _bytes(leaf, place)  # and its system
    _, place = _maybe_bytes(leaf, place)  # and role
    officer, place = _maybe_pseudonym(leaf, place)
    recipient, place = _maybe_bytes(leaf, place)
    subject, place = _maybe_pseudonym(leaf, place)
    return kind, at, officer, recipient, subject


def _find_short_beginning(leaf: bytes) -> _Beginning | None:
    """The same where every text is shorter than 64 bytes and nothing is amiss; else None."""
    if (match := _SHORT_BEGINNING.match(leaf)) is None:
        return None
    kind, spelled, officer, recipient, subject = match.groups()
    if (at := _find_time(spelled)) is None:
        return None
    return kind[1:], at, officer, recipient and recipient[1:], subject


@lru_cache(maxsize=64)  # the same for a whole batch
def _find_time(spelled: bytes) -> int | None:
    try:
        at, _ = _whole(spelled, 0)
    except ValueError:
        return None
    return at if at in _TIMES else None


def _whole(data: bytes, place: int) -> tuple[int, int]:
    """A `long`, of at most 10 bytes, and where it ends."""
    value = shift = 0
    for at in range(place, place + 10):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (shift and not byte) or value >> 64:
                break  # nobody writes it so
            return (value >> 1) ^ -(value & 1), at + 1
        shift += 7
    raise ValueError


def _bytes(data: bytes, place: int) -> tuple[bytes, int]:
    """A `string`'s bytes and where it ends."""
    length, start = data[place] >> 1, place + 1
    if data[place] > 0x7F or data[place] & 1:
        length, start = _whole(data, place)
    end = start + length
    if length < 0 or end > len(data):
        raise ValueError
    return data[start:end], end


def _maybe_bytes(data: bytes, place: int) -> tuple[bytes | None, int]:
    branch = data[place]
    if branch == 0:
        return None, place + 1
    if branch != _PRESENT:
        raise ValueError
    return _bytes(data, place + 1)


def _maybe_pseudonym(data: bytes, place: int) -> tuple[bytes | None, int]:
    branch, end = data[place], place + 1 + _PSEUDONYM_BYTES
    if branch == 0:
        return None, place + 1
    if branch != _PRESENT or end > len(data):
        raise ValueError
    return data[place + 1 : end], end
