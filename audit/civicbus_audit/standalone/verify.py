#!/usr/bin/env python3
"""Verifies evidence from a CivicBus ledger, offline: Python 3.11 and this one file are enough.

    verify.py bundle FOLDER-OR-ZIP --policy FILE --exporter FILE
    verify.py proof FILE.tlog-proof --policy FILE [--leaf FILE]
    verify.py complete FILE --policy FILE
    verify.py checkpoint FILE --policy FILE

`--policy` is a C2SP tlog-policy (`log <vkey>`, `witness`, `group`, `quorum`), `--exporter` the vkey
of whoever signs bundles. Both must come from somebody other than who gave you the evidence: the
copies in a bundle are for comparing. Exit codes: 0 it holds, 1 it is broken (and where), 2 usage.

It is written apart from the ledger's own code, on purpose: two programs that share nothing must
find the same. It follows RFC 6962 and 8032 and C2SP signed-note, tlog-checkpoint, tlog-cosignature,
tlog-policy and tlog-proof, and is stricter than they are where two spellings would mean the same.
It is longer than our other modules because it must stand alone, in one file.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import re
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Never


class Broken(Exception):
    """The evidence does not hold; the text says what and where."""


class Usage(Exception):
    """The caller's own files or options are wrong."""


def broken(what: str) -> Never:
    """The evidence does not hold."""
    raise Broken(what)


# --- one spelling of numbers and bytes


def decimal(text: str, what: str) -> int:
    """0 to 2^63 - 1, without sign, space or leading zero."""
    if not re.fullmatch("0|[1-9][0-9]{0,18}", text, re.ASCII) or int(text) >= 1 << 63:
        broken(f"{what} is not a canonical decimal: {text[:32]!a}")
    return int(text)


def unbase64(text: str, what: str, *, length: int | None = None) -> bytes:
    """Standard base64 in its only spelling, of so many bytes."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        broken(f"{what} is not base64")
    if base64.b64encode(data).decode() != text:
        broken(f"{what} is not canonical base64")
    if length is not None and len(data) != length:
        broken(f"{what} has {len(data)} bytes, not {length}")
    return data


# --- Ed25519 (RFC 8032 section 5.1.7, without cofactor); it only verifies, so time is no secret

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_M1 = pow(2, (_P - 1) // 4, _P)
_Point = tuple[int, int, int, int]


def _add(p: _Point, q: _Point) -> _Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % _P, (p[1] + p[0]) * (q[1] + q[0]) % _P
    c, d = 2 * p[3] * q[3] * _D % _P, 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: _Point) -> _Point:
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point, scalar = _add(point, point), scalar >> 1
    return result


def _point(data: bytes) -> _Point | None:
    value = int.from_bytes(data, "little")
    y, sign = value & ((1 << 255) - 1), value >> 255
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * _SQRT_M1 % _P
    if x * x % _P != square or (x == 0 and sign):
        return None
    x = _P - x if x & 1 != sign else x
    return x, y, 1, x * y % _P


_BASE = _point(bytes([0x58]) + bytes([0x66]) * 31) or (0, 1, 1, 0)


def ed25519_verifies(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the 64-byte signature over the message was made with this key."""
    key, s = _point(public_key), int.from_bytes(signature[32:], "little")
    if key is None or len(signature) != 64 or s >= _ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest()
    challenge = int.from_bytes(digest, "little") % _ORDER
    minus_key = (_P - key[0], key[1], 1, _P - key[3])
    x, y, z, _ = _add(_times(s, _BASE), _times(challenge, minus_key))
    x, y = x * pow(z, -1, _P) % _P, y * pow(z, -1, _P) % _P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


# --- signed notes, keys, policies

_LOG, _WITNESS = b"\x01", b"\x04"


@dataclass(frozen=True, kw_only=True)
class Key:
    """A verifier key: of a log or an exporter (type 1), or of a witness (type 4)."""

    name: str
    id: bytes
    type: bytes
    public: bytes

    def signed(self, text: str, signature: bytes) -> bool:
        """Whether it signed, or cosigned, a note's text."""
        if self.type == _LOG:
            return ed25519_verifies(self.public, signature, text.encode())
        time = int.from_bytes(signature[:8], "big")
        message = f"cosignature/v1\ntime {time}\n{text}".encode()
        return time < 1 << 63 and ed25519_verifies(self.public, signature[8:], message)


def parse_key(vkey: str, type_: bytes) -> Key:
    """`name+hex key id+base64(type ‖ public key)`."""
    name, _, rest = vkey.partition("+")
    id_, _, encoded = rest.partition("+")
    material = unbase64(encoded, "a verifier key", length=33)
    _check_name(name)
    key_id = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    if material[:1] != type_ or id_ != key_id.hex():
        broken(f"the key of {name!a} has another type, or an id that does not fit")
    return Key(name=name, id=key_id, type=type_, public=material[1:])


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        broken("a key's name is empty or has white space or '+'")


def open_note(data: bytes, keys: Sequence[Key], where: str) -> tuple[str, set[Key]]:
    """The text of a note and who of these signed it; a wrong signature by one of them breaks it."""
    try:
        head, separator, tail = data.decode().rpartition("\n\n")
    except UnicodeDecodeError:
        broken(f"{where} is not UTF-8")
    text, lines = head + "\n", tail.split("\n")
    if len(data) > 1_000_000 or not separator or lines.pop() or not 1 <= len(lines) <= 100:
        broken(f"{where} is not a note of text, an empty line and 1 to 100 signatures")
    if any(c < " " and c != "\n" for c in text):
        broken(f"{where} has a control character")
    known, signers = {(key.name, key.id): key for key in keys}, set[Key]()
    for line in lines:
        match = re.fullmatch("— ([^ ]+) ([^ ]+)", line)
        if not match:
            broken(f"{where} has a line that is no signature")
        _check_name(match[1])
        signature = unbase64(match[2], f"a signature in {where}")
        if len(signature) <= 4:
            broken(f"{where} has a signature that is too short")
        if key := known.get((match[1], signature[:4])):
            if not key.signed(text, signature[4:]):
                broken(f"{where}: the signature by {key.name!a} is wrong")
            signers.add(key)
    return text, signers


@dataclass(kw_only=True)
class Policy:
    """C2SP tlog-policy: logs, witnesses by name, groups as (threshold, members), the quorum."""

    logs: list[Key] = field(default_factory=list)
    witnesses: dict[str, Key] = field(default_factory=dict)
    groups: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    quorum: str = ""

    def add(self, words: list[str]) -> None:
        """Takes one line; raises `ValueError` or `Broken` on anything but the format."""
        match words:
            case ["log", vkey, *url] if len(url) <= 1:
                self.logs.append(parse_key(vkey, _LOG))
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self.witnesses[self._fresh(name)] = parse_key(vkey, _WITNESS)
            case ["group", name, threshold, *members] if members:
                fixed = {"any": "1", "all": str(len(members))}.get(threshold, threshold)
                grouped = [m for _, ms in self.groups.values() for m in ms]
                count = decimal(fixed, "a threshold")
                once = len({*members, *grouped}) == len(members) + len(grouped)
                if not once or not 1 <= count <= len(members):
                    raise ValueError(f"group {name}")
                self.groups[self._fresh(name)] = count, [self._defined(m) for m in members]
            case ["quorum", name] if not self.quorum:
                self.quorum = name if name == "none" else self._defined(name)
            case _:
                raise ValueError(words[0])

    def _fresh(self, name: str) -> str:
        if name == "none" or name in self.witnesses or name in self.groups:
            raise ValueError(f"{name} is defined twice")
        return name

    def _defined(self, name: str) -> str:
        if name not in self.witnesses and name not in self.groups:
            raise ValueError(f"{name} is not defined")
        return name

    def accepts(self, name: str, signers: set[Key]) -> bool:
        """Whether these signers suffice for a witness, a group or `none`."""
        if name in self.groups:
            threshold, members = self.groups[name]
            return sum(self.accepts(member, signers) for member in members) >= threshold
        return name == "none" or self.witnesses[name] in signers


def parse_policy(data: bytes) -> Policy:
    """The policy of a file; raises `Usage`, since it is the caller's own."""
    policy = Policy()
    if re.search(rb"[^\t\n\x20-\x7e\x80-\xff]", data) or not data.endswith(b"\n"):
        raise Usage("the policy has a control character, or does not end its last line")
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), start=1):
        if not (words := re.findall("[^ \t]+", line)) or words[0].startswith("#"):
            continue
        try:
            policy.add(words)
        except (ValueError, Broken) as error:
            raise Usage(f"line {number} of the policy is wrong: {error}") from None
    keys = [key.public for key in [*policy.logs, *policy.witnesses.values()]]
    if not policy.quorum or not policy.logs or len(set(keys)) < len(keys):
        raise Usage("a policy needs a log, one quorum line, and no key twice")
    return policy


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The root of the first `size` leaves of the log `origin`."""

    origin: str
    size: int
    root: bytes


def open_checkpoint(note: bytes, policy: Policy, where: str) -> Checkpoint:
    """The checkpoint that a log of the policy signed and its quorum cosigned."""
    text, signers = open_note(note, [*policy.logs, *policy.witnesses.values()], where)
    lines = text.split("\n")
    if len(lines) < 4 or "" in lines[:-1]:
        broken(f"{where} is not a checkpoint")
    if lines[0] not in [key.name for key in signers if key.type == _LOG]:
        broken(f"{where} was not signed by the log {lines[0][:80]!a}")
    if not policy.accepts(policy.quorum, signers):
        broken(f"{where}: too few witnesses have cosigned it for the quorum {policy.quorum!a}")
    size = decimal(lines[1], f"the size in {where}")
    root = unbase64(lines[2], f"the root in {where}", length=32)
    if size == 0 and root != hashlib.sha256().digest():
        broken(f"{where} gives an empty log another root than SHA-256 of nothing")
    return Checkpoint(origin=lines[0], size=size, root=root)


# --- the tree (RFC 6962 section 2.1), and proofs of one leaf


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 ‖ leaf)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def middle_of(start: int, end: int) -> int:
    """Where the tree over these leaves splits: the largest power of two below their number."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def root_from_path(leaf: bytes, path: list[bytes], index: int, size: int) -> bytes:
    """The root that an inclusion path leads to, by the definition of the path."""
    start, end, turns = 0, size, list[bool]()
    while end - start > 1:
        middle = middle_of(start, end)
        turns.append(index >= middle)
        start, end = (middle, end) if index >= middle else (start, middle)
    if len(turns) != len(path):
        broken(f"the proof of leaf {index} has {len(path)} hashes, not {len(turns)}")
    current = leaf
    for sibling, is_right in zip(path, reversed(turns), strict=True):
        current = node_hash(sibling, current) if is_right else node_hash(current, sibling)
    return current


def verify_proof(data: bytes, policy: Policy, leaf: bytes | None) -> tuple[int, Checkpoint]:
    """Checks a C2SP tlog-proof; the leaf's number and the checkpoint."""
    head, _, note = data.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        broken("the proof is not ASCII before its checkpoint")
    if first != "c2sp.org/tlog-proof@v1" or len(data) > 2_000_000:
        broken("the first line is not that of a tlog-proof")
    content = leaf
    if lines and lines[0].startswith("extra "):
        extra = unbase64(lines.pop(0)[6:], "the extra line")
        content = extra if leaf is None else leaf
    if content is None:
        raise Usage("the proof does not carry its leaf: give it with --leaf")
    if not lines or not lines[0].startswith("index "):
        broken("the proof names no index")
    index = decimal(lines.pop(0)[6:], "the proof's index")
    path = [unbase64(line, "a hash of the proof", length=32) for line in lines]
    checkpoint = open_checkpoint(note, policy, "the proof's checkpoint")
    if index >= checkpoint.size:
        broken(f"the proof's index {index} lies outside a tree of {checkpoint.size} leaves")
    if root_from_path(leaf_hash(content), path, index, checkpoint.size) != checkpoint.root:
        broken(f"the proof of leaf {index} does not lead to the root of size {checkpoint.size}")
    return index, checkpoint


# --- a record as its leaf tells it: Avro in single-object encoding, in its one spelling

_HEADER = bytes.fromhex("c3017698927ee4e942a8")
# A value and where it ends, given where it begins; raises ValueError or IndexError on anything
# that nobody writes. What is cut off is read short, and ends beyond the leaf's last byte.
_Read = Callable[[bytes, int], tuple[Any, int]]


def _long(data: bytes, at: int) -> tuple[int, int]:
    value, shift, byte, at = 0, 0, data[at], at + 1
    while byte & 0x80:
        value, shift, byte, at = value | (byte & 0x7F) << shift, shift + 7, data[at], at + 1
    value |= byte << shift
    if (shift and not byte) or value >> 64:
        raise ValueError
    return value >> 1 ^ -(value & 1), at


def _raw(data: bytes, at: int) -> tuple[bytes, int]:
    length, at = _long(data, at)
    if length < 0:
        raise ValueError
    return data[at : at + length], at + length


def _string(data: bytes, at: int) -> tuple[str, int]:
    value, at = _raw(data, at)
    return value.decode(), at


def _array(read: _Read) -> _Read:
    def several(data: bytes, at: int) -> tuple[list[Any], int]:
        values = list[Any]()
        count, at = _long(data, at)
        for _ in range(count):
            value, at = read(data, at)
            values.append(value)
        if count < 0 or (count and data[at]):
            raise ValueError
        return values, at + (count > 0)

    return several


def _time(data: bytes, at: int) -> tuple[str, int]:
    micros, at = _long(data, at)
    since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    return since.isoformat(timespec="microseconds"), at


def _fixed(length: int) -> _Read:
    return lambda data, at: (data[at : at + length].hex(), at + length)


def _struct(**fields: _Read) -> _Read:
    def record(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        values = dict[str, Any]()
        for name, read in fields.items():
            values[name], at = read(data, at)
        return values, at

    return record


def _maybe(read: _Read) -> _Read:
    def either(data: bytes, at: int) -> tuple[Any, int]:
        if data[at] not in (0, 2):
            raise ValueError
        return read(data, at + 1) if data[at] else (None, at + 1)

    return either


_ID, _HASH, _strings = _fixed(16), _fixed(32), _array(_string)
RECORD = _struct(
    v=_long, id=_ID, nonce=_ID, kind=_string, at=_time,
    actor=_struct(agency=_string, system=_string, role=_maybe(_string), officer=_maybe(_ID)),
    recipient=_maybe(_string), subject=_maybe(_ID), agreement=_maybe(_string),
    event=_maybe(_struct(
        topic=_string, partition=_long, offset=_long, id=_maybe(_string), schema=_maybe(_HASH)
    )),
    positions=_struct(consent=_maybe(_long), view=_maybe(_long)),
    dataset=_maybe(_string), fields=_strings, purpose=_maybe(_string), basis=_maybe(_string),
    consent=_maybe(_string), decision=_string, reason=_maybe(_string), rule=_maybe(_string),
    policy=_maybe(_HASH), obligations=_strings, rows=_long, size_bytes=_long,
    payload_hash=_maybe(_HASH),
    req=_maybe(_struct(
        jti=_maybe(_string), id=_maybe(_string), trace=_maybe(_string), case=_maybe(_ID)
    )),
    clock=_struct(src=_string, err_us=_maybe(_long)), sealed=_maybe(_HASH),
)  # fmt: skip


def decode(leaf: bytes, index: int) -> dict[str, Any]:
    """What the record in a leaf says."""
    record: dict[str, Any]
    if not leaf.startswith(_HEADER):
        broken(f"leaf {index} in leaves.bin is not a record")
    try:
        record, end = RECORD(leaf, len(_HEADER))
    except (ValueError, IndexError, OverflowError):
        broken(f"leaf {index} in leaves.bin is not a record")
    if end != len(leaf):
        broken(f"leaf {index} in leaves.bin has bytes left over, or is cut off")
    return record


COLUMNS = (
    "index", "at", "kind", "decision", "reason", "recipient", "agency", "system", "officer",
    "subject", "dataset", "fields", "purpose", "basis", "agreement", "consent", "rule", "case",
    "id",
)  # fmt: skip


_SPECIAL = re.compile('[",\r\n]')
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def as_line(index: int, leaf: bytes, record: dict[str, Any]) -> bytes:
    """The line of records.ndjson."""
    told = {"index": index, "leaf_hash": leaf_hash(leaf).hex(), "record": record}
    return _json(told).encode() + b"\n"


def as_row(index: int, record: dict[str, Any]) -> bytes:
    """The row of records.csv; what a spreadsheet would take for a formula has an apostrophe."""
    actor = record["actor"]
    names = {"agency": actor["agency"], "system": actor["system"], "officer": actor["officer"]}
    more = {"index": index, "fields": " ".join(record["fields"]), "case": None}
    if record["req"]:
        more["case"] = record["req"]["case"]
    told = record | names | more
    return csv_row([told[column] for column in COLUMNS])


def csv_row(values: Sequence[object]) -> bytes:
    """One row in CSV (RFC 4180)."""
    return (",".join(map(_cell, values)) + "\r\n").encode()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    if text.startswith(("=", "+", "-", "@", "\t", "\r")):
        text = f"'{text}"
    if _SPECIAL.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


# --- answers that leave nothing out: index commits, and what follows from them

_COMMIT_HEADER = bytes.fromhex("c301212c53d32bc6856b")
_SORTS = ["subject", "deferred", "officer", "recipient"]
COMMIT = _struct(
    v=_long, kind=_string, at=_long, first=_long, end=_long, earliest=_maybe(_long),
    latest=_maybe(_long), unreadable=_long, keys=_long, root=_HASH, salts=_fixed(128),
)  # fmt: skip
BEGINNING = _struct(
    v=_long, id=_ID, nonce=_ID, kind=_raw, at=_long,
    actor=_struct(agency=_raw, system=_raw, role=_maybe(_raw), officer=_maybe(_ID)),
    recipient=_maybe(_raw), subject=_maybe(_ID),
)  # fmt: skip


def read_commit(leaf: bytes, index: int) -> dict[str, Any]:
    """What the index commit in a leaf says."""
    commit: dict[str, Any]
    try:
        commit, end = COMMIT(leaf, len(_COMMIT_HEADER))
    except (ValueError, IndexError, OverflowError):
        broken(f"the index commit in leaf {index} cannot be read")
    known = (commit["v"], commit["kind"], end) == (1, "index.commit", len(leaf))
    if not known or not 0 <= commit["first"] < commit["end"] == index:
        broken(f"the index commit in leaf {index} is not one that may stand there")
    return commit


def filed_at(leaf: bytes, names: Sequence[tuple[str, str]]) -> int | None:
    """The time that a record names, if it is filed under one of these names; else None."""
    if not leaf.startswith(_HEADER):
        return None
    try:
        told, end = BEGINNING(leaf, len(_HEADER))
    except (ValueError, IndexError, OverflowError):
        return None
    if end > len(leaf):
        return None
    filed = [("officer", told["actor"]["officer"])]
    sort = {b"access.decision": "subject", b"access.deferred": "deferred"}.get(told["kind"])
    if sort:
        recipient = (told["recipient"] or b"").decode("utf-8", "replace")
        filed += [(sort, told["subject"]), ("recipient", recipient)]
    at: int = told["at"]
    return at if any(name in filed for name in names) else None


def root_of_some(hashes: dict[int, bytes], size: int, proof: list[bytes]) -> bytes:
    """The root that these leaves of a tree and one proof for all of them lead to."""
    wanted, given = sorted(hashes), iter(proof)
    if wanted and not 0 <= wanted[0] <= wanted[-1] < size:
        broken("a proof names leaves outside its tree")

    def root(start: int, end: int, inside: list[int]) -> bytes:
        if not inside:
            return next(given, b"")
        if end - start == 1:
            return hashes[start]
        middle = middle_of(start, end)
        left = root(start, middle, [at for at in inside if at < middle])
        return node_hash(left, root(middle, end, [at for at in inside if at >= middle]))

    result = root(0, size, wanted) if size else hashlib.sha256().digest()
    if next(given, None) is not None:
        broken("a proof has more hashes than it needs")
    return result


_Name = tuple[str, str]


def _salts(
    answer: dict[str, Any], commit: dict[str, Any], names: Sequence[_Name]
) -> dict[str, bytes]:
    """The salts of the sorts that are asked for; they are those that the commit was made with."""
    sorts = sorted({by for by, _ in names})
    if len(answer["salts"]) != len(sorts):
        broken("not every sort that is asked for has its salt")
    told = [unbase64(text, "a salt", length=32) for text in answer["salts"]]
    salts = dict(zip(sorts, told, strict=True))
    hashes = bytes.fromhex(commit["salts"])
    for by, salt in salts.items():
        start = 32 * _SORTS.index(by)
        if hashlib.sha256(salt).digest() != hashes[start : start + 32]:
            broken(f"a salt is not the one that the commit in leaf {commit['end']} was made with")
    return salts


def _check_entry(
    answer: dict[str, Any], commit: dict[str, Any], name: _Name, salt: bytes
) -> list[int]:
    """The leaves that a commit filed under a name, as one answer of the proof proves them."""
    by, text = name
    spelled = text.encode() if by == "recipient" else bytes.fromhex(text)
    key = hashlib.sha256(b"civicbus.index.key\0" + salt + spelled).digest()
    place, leaves, keys = answer["place"], answer.get("leaves", []), commit["keys"]
    proof = [unbase64(text, "a hash of an answer", length=32) for text in answer["proof"]]
    if "leaves" in answer:
        if not leaves or leaves != sorted(set(leaves)):
            broken("an answer names no leaves, or not in order")
        numbers = b"".join(leaf.to_bytes(8, "big") for leaf in leaves)
        places = hashlib.sha256(b"civicbus.index.places\0" + salt + numbers).digest()
        entries = {place: key + places}
    else:
        around = [at for at in (place - 1, place) if 0 <= at < keys]
        told = [unbase64(text, "a neighbour", length=64) for text in answer["neighbours"]]
        if not 0 <= place <= keys or len(told) != len(around):
            broken("a name that is said to be absent has no place, or other neighbours")
        entries = dict(zip(around, told, strict=True))
        if any((entry[:32] < key) != (at < place) or entry[:32] == key
               for at, entry in entries.items()):  # fmt: skip
            broken("a name that is said to be absent does not belong between its neighbours")
    hashed = {at: leaf_hash(entry) for at, entry in entries.items()}
    if root_of_some(hashed, keys, proof).hex() != commit["root"]:
        broken(f"an answer does not lead to the root of the commit in leaf {commit['end']}")
    if any(not commit["first"] <= leaf < commit["end"] for leaf in leaves):
        broken(f"the commit in leaf {commit['end']} names leaves that it does not cover")
    return list(leaves)


def _parse_complete(data: bytes) -> dict[str, Any]:
    """The file in its one spelling, with exactly its members; raises `ValueError`."""
    told: dict[str, Any] = json.loads(data)
    spelled = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    answers = [answer for row in told["answers"] for answer in row["filed"]]
    numbers = [index for index, _ in told["leaves"]]
    numbers += [told["hidden"]] if told["hidden"] is not None else []
    numbers += [told["pruned"]] if "pruned" in told else []
    for answer in answers:
        numbers += [answer["place"], *answer.get("leaves", [])]
    names, by = told["names"], told["by"]
    pattern = "[a-z0-9-]+" if by == "recipient" else "[0-9a-f]{32}"
    if not (
        {*told} - {"pruned"} == {"format", "by", "names", "since", "until", "hidden", "checkpoint",
                        "leaves", "proof", "answers"}
        and all({*row} == {"salts", "filed"} for row in told["answers"])
        and all({*one} in ({"place", "proof", "leaves"}, {"place", "proof", "neighbours"})
                for one in answers)
        and all(type(number) is int and 0 <= number < 1 << 53 for number in numbers)
        and told["format"] == "civicbus-completeness@v1" and by in _SORTS and by != "deferred"
        and names and names == sorted(set(names))
        and all(re.fullmatch(pattern, name, re.ASCII) for name in names)
        and (told["hidden"] is None or by == "subject")
        and spelled.encode() + b"\n" == data
    ):  # fmt: skip
        raise ValueError
    return told


def _micros(text: str | None) -> int | None:
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    if time.astimezone(UTC).isoformat() != text:
        raise ValueError
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def verify_complete(data: bytes, policy: Policy) -> dict[str, Any]:
    """Checks a proof of completeness; how much it proves, and up to where.

    1. Log and witnesses vouch for the checkpoint. 2. All leaves of the file are in that log. 3. Its
    index commits cover the log from leaf 0, or from where a leaf says that it was pruned to,
    without hole. 4. Each that overlaps the period proves
    for each name what it filed, and those leaves are here. 5. Other leaves lie behind the last
    commit, or are of an investigation that the citizen may know of.
    """
    try:
        return _verify_complete(_parse_complete(data), policy)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        broken("the file is no proof of completeness, or not in its one spelling")


def _verify_complete(told: dict[str, Any], policy: Policy) -> dict[str, Any]:
    checkpoint = open_checkpoint(told["checkpoint"].encode(), policy, "the proof's checkpoint")  # 1
    leaves = {index: unbase64(text, f"leaf {index}") for index, text in told["leaves"]}  # 2
    if [index for index, _ in told["leaves"]] != sorted(leaves):
        broken("the leaves of the proof are not in order")
    proof = [unbase64(text, "a hash of the proof", length=32) for text in told["proof"]]
    hashes = {index: leaf_hash(leaf) for index, leaf in leaves.items()}
    if root_of_some(hashes, checkpoint.size, proof) != checkpoint.root:
        broken(f"the leaves do not lead to the root of size {checkpoint.size}")
    first = _pruned_to(leaves, told["pruned"]) if "pruned" in told else 0
    covered, unreadable, commits = first, 0, list[dict[str, Any]]()
    for index, leaf in leaves.items():  # 3
        if leaf.startswith(_COMMIT_HEADER):
            commit = read_commit(leaf, index)
            if commit["first"] != covered:
                broken(f"the index commit in leaf {index} does not follow the one before it")
            commits.append(commit)
            covered, unreadable = index, unreadable + commit["unreadable"]
    since, until = _micros(told["since"]), _micros(told["until"])
    names = [(told["by"], name) for name in told["names"]]
    deferred = [("deferred", name) for name in told["names"]] if told["by"] == "subject" else []
    if told["hidden"] is None:
        names = deferred + names
    found = _answered(commits, told["answers"], names, period=(since, until))  # 4
    for index, name in found.items():
        if index not in leaves or filed_at(leaves[index], [name]) is None:
            broken(f"leaf {index} is named by a commit, and missing or another")
    ends = {commit["end"] for commit in commits}
    rest = list[int]()
    for index in (index for index in leaves if index not in found and index not in ends):  # 5
        at = filed_at(leaves[index], names if index >= covered else [])
        if at is None and told["hidden"] is not None:
            at = filed_at(leaves[index], deferred)
        if at is not None and _within(at, since, until):
            rest.append(index)
        elif index != told.get("pruned"):
            broken(f"leaf {index} does not belong into the proof")
    times = {index: filed_at(leaves[index], [name]) for index, name in found.items()}
    proved = [i for i, at in times.items() if at is not None and _within(at, since, until)]
    return {"origin": checkpoint.origin, "size": checkpoint.size, "covered": covered,
            "first": first, "commits": len(commits), "proved": len(proved), "rescanned": len(rest),
            "unreadable": unreadable, "hidden": told["hidden"], "names": names,
            "checkpoint": told["checkpoint"], "asked": (told["by"], told["names"], since, until),
            "leaves": {index: leaves[index] for index in [*proved, *rest]}}  # fmt: skip


def _pruned_to(leaves: dict[int, bytes], index: int) -> int:
    """Where a ledger begins since the leaf of this number, by which what was before was pruned."""
    try:
        record = decode(leaves.get(index, b""), index)
    except Broken:
        broken(f"leaf {index}, by which the ledger was pruned, is not in the proof")
    kind, role, first = record["kind"], record["actor"]["role"], record["rows"]
    may = (kind, role, record["decision"]) == ("retention.prune", "supervisor", "permit")
    if not may or not record["payload_hash"] or not 0 < first < index:
        broken(f"leaf {index} does not prune the ledger")
    return int(first)


def _answered(
    commits: list[dict[str, Any]],
    answers: list[dict[str, Any]],
    names: list[tuple[str, str]],
    *,
    period: tuple[int | None, int | None],
) -> dict[int, tuple[str, str]]:
    since, until = period
    asked = [
        commit for commit in commits if commit["earliest"] is not None
        and (since is None or commit["latest"] >= since)
        and (until is None or commit["earliest"] < until)
    ]  # fmt: skip
    if len(answers) != len(asked) or any(len(row["filed"]) != len(names) for row in answers):
        broken("not every index commit of the period answers for every name")
    found = dict[int, tuple[str, str]]()
    for commit, row in zip(asked, answers, strict=True):
        salts = _salts(row, commit, names)
        for name, answer in zip(names, row["filed"], strict=True):
            found |= dict.fromkeys(_check_entry(answer, commit, name, salts[name[0]]), name)
    return found


def _within(at: int, since: int | None, until: int | None) -> bool:
    return (since is None or at >= since) and (until is None or at < until)


# --- a bundle: a folder, or a zip that is nothing but its stored files


class Part:
    """One file of a bundle, read from the front; its hash and checksum grow with what was read."""

    def __init__(self, name: str, path: Path, *, offset: int = 0, length: int) -> None:
        self.name, self.length, self._left = name, length, length
        self.checksum, self._sha256 = 0, hashlib.sha256()
        self.expected_checksum: int | None = None
        self._path, self._offset = path, offset
        self._file: BinaryIO | None = None

    def read(self, count: int) -> bytes:
        """At most so many of the next bytes."""
        if self._file is None:
            self._file = self._path.open("rb")
            self._file.seek(self._offset)
        data = self._file.read(min(count, self._left))
        self._left -= len(data)
        self.checksum = zlib.crc32(data, self.checksum)
        self._sha256.update(data)
        return data

    def rest(self, limit: int = 1_000_000) -> bytes:
        """All that is left, of a file that must be small."""
        if self._left > limit:
            broken(f"{self.name} is too long")
        return self.read(self._left)

    def finish(self) -> str:
        """Reads on to the end; the SHA-256 of the whole file, hex."""
        while self.read(1 << 20):
            pass
        return self._sha256.hexdigest()

    def close(self) -> None:
        """Lets go of the file."""
        if self._file is not None:
            self._file.close()


def parts_of(path: Path) -> dict[str, Part]:
    """The files of a bundle by name."""
    if path.is_dir():
        files = sorted(path.rglob("*"))
        if odd := [f.name for f in files if f.is_symlink() or not f.is_file()]:
            broken(f"{odd[0]!a} does not belong into a bundle")
        return {f.name: Part(f.name, f, length=f.stat().st_size) for f in files}
    return _parts_of_zip(path)


def _parts_of_zip(path: Path) -> dict[str, Part]:
    """Each header must be the only one that its file can have, so that every byte is bound."""
    parts, directory, offset = dict[str, Part](), b"", 0
    if path.stat().st_size >= 1 << 32:
        broken("the zip is longer than its headers can tell")
    with path.open("rb") as file:
        while (head := file.read(30))[:4] == b"PK\x03\x04" and len(head) == 30:
            checksum, length, _, name_length = struct.unpack("<3IH", head[14:28])
            name = file.read(name_length)
            fixed = struct.pack("<5H3I2H", 20, 0, 0, 0, 0x21, checksum, length, length,
                                name_length, 0)  # fmt: skip
            text = name.decode("ascii", "replace")
            if head[4:] != fixed or not re.fullmatch("[a-z.-]+", text, re.I) or text in parts:
                broken(f"the zip's header of {text[:40]!a} was changed")
            directory += struct.pack("<4sH", b"PK\x01\x02", 3 << 8 | 20) + fixed
            directory += struct.pack("<3H2I", 0, 0, 0, 0o100644 << 16, offset) + name
            part = Part(text, path, offset=file.tell(), length=length)
            parts[text], part.expected_checksum = part, checksum
            offset = file.seek(length, 1)
        end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, len(parts), len(parts),
                          len(directory), offset, 0)  # fmt: skip
        if head + file.read(len(directory) + len(end)) != directory + end:
            broken("the zip's directory was changed")
    return parts


RELEASES = ("released", "unsettled", "aborted-may-have-been-seen", "none")


@dataclass(kw_only=True)
class Leaves:
    """Reads leaves.bin once, and proves and compares each leaf on the way.

    Each must name whom `names` end with, where a proof of completeness is about these; `filed` are
    those that it must hold.
    """

    parts: dict[str, Part]
    names: Sequence[_Name] = ()
    filed: list[int] = field(default_factory=list)
    count: int = 0
    index: int = -1
    leaf: bytes = b""

    def advance(self) -> None:
        """The next leaf; index 2^64 is behind the last one."""
        head = self.parts["leaves.bin"].read(10)
        if not head:
            self.index = 1 << 64
            return
        index, length = int.from_bytes(head[:8], "big"), int.from_bytes(head[8:], "big")
        self.leaf = self.parts["leaves.bin"].read(length)
        if len(head) < 10 or len(self.leaf) < length or index <= self.index:
            broken(f"leaves.bin cannot be read behind leaf {self.index}")
        self.index, self.count = index, self.count + 1
        record = decode(self.leaf, index)
        if self.names:
            by, name = self.names[-1]
            if (record["actor"] if by == "officer" else record)[by] != name:
                broken(f"leaf {index} does not name whom the query asks for")
            if filed_at(self.leaf, self.names) is not None:
                self.filed.append(index)
        self._compare("records.ndjson", as_line(index, self.leaf, record))
        self._compare("records.csv", as_row(index, record))
        self._compare("releases.csv", b"%d," % index)
        first = self.parts["releases.csv"].read(1).decode("latin-1")
        discloses = record["decision"] in ("permit", "breakglass")
        word = next((word for word in RELEASES if word[0] == first), None)
        if word is None or (word != "none") != discloses:
            broken(f"releases.csv, record {self.count}, says what cannot be of leaf {index}")
        self._compare("releases.csv", word[1:].encode() + b"\r\n")

    def _compare(self, name: str, expected: bytes) -> None:
        if self.parts[name].read(len(expected)) != expected:
            broken(f"{name}, record {self.count}, does not say what leaf {self.index} says")

    def root(self, start: int, end: int) -> bytes:
        """MTH(D[start:end]) from the leaves within, and from one hash for each tree without any."""
        if self.index >= end:
            hash_ = self.parts["proof.hashes"].read(32)
            if len(hash_) < 32:
                broken("proof.hashes ends too early")
            return hash_
        if end - start == 1:
            counted = leaf_hash(self.leaf)
            self.advance()
            return counted
        middle = middle_of(start, end)
        left = self.root(start, middle)
        return node_hash(left, self.root(middle, end))


CONTENT = ("leaves.bin", "proof.hashes", "records.ndjson", "records.csv", "releases.csv")
SIGNED = ("checkpoint", "README.md", "exporter.vkey", "trust.policy", "verify.py", *CONTENT)
PROOF = "completeness.json"
MAX_PROVED, MAX_PROOF_BYTES = 20_000, 1 << 30
FIGURES = ("covered", "commits", "proved", "rescanned", "unread", "other_kinds", "nameless")
UNPROVED = {
    "query": "index commits do not answer its query as it was asked",
    "too-many": f"a bundle of more than {MAX_PROVED} records has no proof",
    "no-commits": "the ledger has no index commit yet",
}


def verify_bundle(path: Path, policy: Policy, exporter: Key) -> dict[str, Any]:
    """Checks a whole bundle; what its manifest says.

    1. The exporter signed the manifest. 2. The files are exactly those that it names. 3. A log and
    its witnesses vouch for the checkpoint. 4. Every leaf is in that log, and says what the records
    say. 5. Of the leaves that completeness.json proves to be filed under the name and in the period
    of the query, all that can be read are in the bundle, and no other of that name is; or there is
    no such proof, for a reason that the query may have. 6. Every file is the one that was signed,
    to the last byte.
    """
    parts = parts_of(path)
    try:
        return _verify_parts(parts, policy, exporter)
    finally:
        for part in parts.values():
            part.close()


def _verify_parts(parts: dict[str, Part], policy: Policy, exporter: Key) -> dict[str, Any]:
    manifest = _open_manifest(parts, exporter)  # 1
    if parts.keys() != manifest["files"].keys() | {"manifest.json", "manifest.sig"}:  # 2
        odd = sorted(parts.keys() ^ {*manifest["files"], "manifest.json", "manifest.sig"})
        broken(f"a file is missing or too many: {odd[0]!a}")
    note = parts["checkpoint"].rest()
    checkpoint = open_checkpoint(note, policy, "checkpoint")  # 3
    told = (manifest["origin"], manifest["size"], manifest["root"])
    if told != (checkpoint.origin, checkpoint.size, checkpoint.root.hex()):
        broken("manifest.json names another checkpoint than the bundle has")
    first, read = (manifest["completeness"][name] for name in ("first_leaf", "leaves_read"))
    if first < 0 or first + read != checkpoint.size:
        broken("manifest.json does not say that every leaf of the checkpoint was read")
    proof = _open_proof(parts, manifest, policy, note=note)
    names = proof["names"] if proof else ()
    leaves = _verify_leaves(parts, checkpoint, expected=manifest["records"], names=names)  # 4
    if proof:  # 5
        _compare_with_proof(leaves, proof, manifest["completeness"])
    for name, part in parts.items():  # 6
        found = {"bytes": part.length, "sha256": part.finish()}
        if name in manifest["files"] and found != manifest["files"][name]:
            broken(f"{name} is not the file that was signed")
        if part.expected_checksum not in (None, part.checksum):
            broken(f"the zip's checksum of {name} was changed")
    return manifest


def _open_manifest(parts: dict[str, Part], exporter: Key) -> dict[str, Any]:
    for name in ("manifest.json", "manifest.sig"):
        if name not in parts:
            broken(f"{name} is missing")
    data = parts["manifest.json"].rest()
    text, signers = open_note(parts["manifest.sig"].rest(), [exporter], "manifest.sig")
    if not signers:
        broken(f"{exporter.name!a} did not sign manifest.sig")
    if text != f"civicbus evidence v1\n{hashlib.sha256(data).hexdigest()}\n":
        broken("manifest.json is not the file that manifest.sig signs")
    try:
        manifest: dict[str, Any] = json.loads(data)
        files, read = manifest["files"], manifest["completeness"]["leaves_read"]
        first = manifest["completeness"]["first_leaf"]
        described = {(type(file["bytes"]), type(file["sha256"])) for file in files.values()}
        told = [manifest["origin"], manifest["root"], manifest["size"], manifest["records"]]
        told += [read, first]
        kind = manifest["completeness"]["kind"]
    except (ValueError, KeyError, TypeError, AttributeError):
        broken("manifest.json is not what a manifest is")
    typed = [*map(type, told)] == [str, str, int, int, int, int] and described == {(int, str)}
    more = {PROOF} if kind == "index-commits" else set[str]()
    if kind not in ("index-commits", "re-scan") or files.keys() != {*SIGNED} | more or not typed:
        broken("manifest.json tells of other things than a bundle has")
    return manifest


def _open_proof(
    parts: dict[str, Part], manifest: dict[str, Any], policy: Policy, *, note: bytes
) -> dict[str, Any] | None:
    """What the bundle's proof of completeness proves; None if it has none and may have none."""
    told = manifest["completeness"]
    try:
        asked = _asked_by(manifest["query"])
        reason = UNPROVED[told["reason"]] if told["kind"] == "re-scan" else None
    except (AttributeError, KeyError, TypeError, ValueError):
        broken("manifest.json does not say what was asked for, or why that is not proved")
    if reason:
        is_long = manifest["records"] > MAX_PROVED
        if (told["reason"] == "query") != (asked is None) or (
            told["reason"] == "too-many" and not is_long
        ):
            broken(f"manifest.json gives a reason that it has not: {reason}")
        return None
    try:
        proof = verify_complete(parts[PROOF].rest(MAX_PROOF_BYTES), policy)
    except Broken as error:
        broken(f"{PROOF}: {error}")
    if proof["hidden"] is not None or proof["asked"] != asked:
        broken(f"{PROOF} proves another thing than the query of manifest.json asks for")
    if proof["first"] != told["first_leaf"]:
        broken(f"{PROOF} begins at another leaf than manifest.json says")
    if proof["checkpoint"].encode() != note:
        broken(f"{PROOF} has another checkpoint than the bundle")
    return proof


def _asked_by(query: dict[str, Any]) -> tuple[str, list[str], int | None, int | None] | None:
    """What a proof for this query is about; None if it asks for more than a name and a period."""
    named = [by for by in ("subject", "officer", "recipient") if by in query]
    excepted = query.get("except_kinds", [])
    may_except = "officer" not in named and not {"access.decision", "access.deferred"} & {*excepted}
    more = {"except_kinds"} if excepted and may_except else set[str]()
    if len(named) != 1 or query.keys() != {*named, "since", "until"} | more:
        return None
    times = [datetime.fromisoformat(query[name]) for name in ("since", "until")]
    if any(time.utcoffset() is None for time in times):
        raise ValueError
    since, until = (_micros(time.astimezone(UTC).isoformat()) for time in times)
    return named[0], [query[named[0]]], since, until


def _compare_with_proof(leaves: Leaves, proof: dict[str, Any], told: dict[str, Any]) -> None:
    found, expected = proof["leaves"], list[int]()
    for index in sorted(found):
        try:
            decode(found[index], index)
        except Broken:
            continue  # in the proof alone, and counted
        expected.append(index)
    if odd := sorted({*expected} ^ {*leaves.filed}):
        broken(f"leaf {odd[0]} is in {PROOF} or among the records, and not in both")
    unread, others = len(found) - len(expected), leaves.count - len(expected)
    more = {"unread": unread, "other_kinds": others, "nameless": proof["unreadable"]}
    figures = proof | more
    if json.dumps([told.get(name) for name in FIGURES]) != json.dumps(
        [figures[name] for name in FIGURES]
    ):
        broken(f"manifest.json tells of another completeness than {PROOF} proves")


def _verify_leaves(
    parts: dict[str, Part], checkpoint: Checkpoint, *, expected: int, names: Sequence[_Name]
) -> Leaves:
    if parts["records.csv"].read(len(csv_row(COLUMNS))) != csv_row(COLUMNS):
        broken("records.csv has another first line")
    head = csv_row(["index", "release"])
    if parts["releases.csv"].read(len(head)) != head:
        broken("releases.csv has another first line")
    leaves = Leaves(parts=parts, names=names)
    leaves.advance()
    size = checkpoint.size
    root = leaves.root(0, size) if size else hashlib.sha256().digest()
    if root != checkpoint.root:
        broken("the leaves and proof.hashes do not lead to the checkpoint's root")
    if leaves.index != 1 << 64 or leaves.count != expected:
        broken(f"manifest.json counts {expected} records, leaves.bin has others")
    for name in CONTENT:
        if parts[name].read(1):
            broken(f"{name} has bytes behind its last record")
    return leaves


# --- the command


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Usage(f"{path} cannot be read: {type(error).__name__}") from None


def _exporter(path: Path | None) -> Key:
    if path is None:
        raise Usage("whose signature counts? --exporter FILE, from somebody you trust")
    try:
        return parse_key(_read(path).decode("utf-8", "replace").strip(), _LOG)
    except Broken as error:
        raise Usage(f"{path} is no verifier key: {error}") from None


def _tell(arguments: argparse.Namespace) -> Iterator[str]:
    """Verifies what was asked for, and says what holds."""
    policy, file = parse_policy(_read(arguments.policy)), arguments.file
    match arguments.what:
        case "bundle":
            if not file.exists():
                raise Usage(f"there is no {file}")
            told = verify_bundle(file, policy, _exporter(arguments.exporter))
            yield f"The bundle holds: {told['records']} records of {told['origin']}, each in the "
            yield f"tree of {told['size']} leaves; every byte is the one that was signed.\n"
            yield from _tell_completeness(told["completeness"])
        case "proof":
            leaf = _read(arguments.leaf) if arguments.leaf else None
            index, checkpoint = verify_proof(_read(file), policy, leaf)
            yield f"The proof holds: leaf {index} of {checkpoint.size} in {checkpoint.origin}.\n"
        case "complete":
            told = verify_complete(_read(file), policy)
            for by, name in told["names"]:
                yield f"Asked for: {by} {name}\n"
            yield f"Up to leaf {told['covered']} the ledger {told['origin']} has {told['proved']} "
            yield f"of this, and nothing else: proved by {told['commits']} index commits.\n"
            yield f"Found by reading on to leaf {told['size']}, not proved to be all: "
            yield f"{told['rescanned']}.\n"
            yield from _tell_pruned(told["first"])
            if told["unreadable"]:
                yield f"{told['unreadable']} leaves nobody can read stand under no name.\n"
            if told["hidden"] is not None:
                yield f"Counted, and not shown: {told['hidden']} in investigations that go on.\n"
        case _:
            checkpoint = open_checkpoint(_read(file), policy, "the checkpoint")
            yield f"The checkpoint holds: {checkpoint.size} leaves of {checkpoint.origin}, root "
            yield f"{checkpoint.root.hex()}.\n"


def _tell_pruned(first: int) -> Iterator[str]:
    if first:
        yield f"What was before leaf {first} was pruned after its retention; of that nothing is "
        yield "claimed.\n"


def _tell_completeness(told: dict[str, Any]) -> Iterator[str]:
    yield from _tell_pruned(told["first_leaf"])
    if told["kind"] == "re-scan":
        yield "That no other record matches is the exporter's signed statement alone, as "
        yield f"{UNPROVED[told['reason']]}; whoever has the ledger can recount it.\n"
        return
    yield f"Up to leaf {told['covered']} nothing else matches: {told['commits']} index commits "
    yield f"prove it of {told['proved']} leaves. {told['rescanned']} behind it were found by "
    yield "reading on, which is the exporter's signed statement.\n"
    if told["other_kinds"]:
        yield f"{told['other_kinds']} records are of kinds that commits do not file under this "
        yield "name; that there are no other such is his statement too.\n"
    if told["unread"]:
        yield f"{told['unread']} leaves under this name nobody can read to their end; they are in "
        yield f"{PROOF} alone.\n"
    if told["nameless"]:
        yield f"{told['nameless']} leaves nobody can read stand under no name.\n"


class _Once(argparse.Action):
    """An option that is given twice is wrong usage: whom to trust must be said in one way."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option_string} is given twice; say it once")
        setattr(namespace, self.dest, values)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["bundle", "proof", "complete", "checkpoint"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--policy", type=Path, required=True, action=_Once)
    parser.add_argument("--exporter", type=Path, action=_Once)
    parser.add_argument("--leaf", type=Path, action=_Once)
    try:
        sys.stdout.write("".join(_tell(parser.parse_args(arguments))))
    except Broken as error:
        sys.stderr.write(f"BROKEN: {error}.\n")
        return 1
    except (Usage, OSError) as error:
        sys.stderr.write(f"{error}.\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
