"""Avro bytes and the two wrappings they travel in. Schemas are parsed once, by fastavro.

Confluent frame: 0x00 ‖ schema id (4 bytes, big-endian) ‖ body. Single-object encoding: 0xC3 0x01 ‖
CRC-64-AVRO of the schema (8 bytes, little-endian) ‖ body (Avro 1.12 specification, Single-object
encoding); leaves of the ledger use it, so that no registry is needed to read them.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from io import BytesIO
from typing import Any

import fastavro
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException, to_parsing_canonical_form
from fastavro.schema import fingerprint as avro_fingerprint

from civicbus_schemas.errors import InvalidBytes, InvalidContract, InvalidEvent
from civicbus_schemas.ids import Fingerprint
from civicbus_schemas.narrow import find_check
from civicbus_schemas.strict import NOT_TAKEN, Read, find_reader

_FRAME = struct.Struct(">bI")
_SINGLE_OBJECT = b"\xc3\x01"

# What fastavro raises on bytes that do not fit the schema, found by fuzzing (tests/properties).
_UNREADABLE = (EOFError, IndexError, KeyError, OverflowError, TypeError, ValueError, MemoryError)
_UNPARSABLE = (SchemaParseException, KeyError, TypeError, ValueError, AttributeError)
_UNWRITABLE = (AttributeError, KeyError, OverflowError, TypeError, ValueError, IndexError)

# Nine bytes that go on: the tenth may go beyond 64 bits, of which fastavro keeps the lower ones.
# Text can look so too; either way the body must then be what we would have written.
_LONG_NUMBER = re.compile(rb"[\x80-\xff]{9}")

SchemaDocument = Mapping[str, Any]

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def frame(schema_id: int, body: bytes) -> bytes:
    """The body in the Confluent frame."""
    return _FRAME.pack(0, schema_id) + body


def unframe(message: bytes | None) -> tuple[int, bytes]:
    """The schema id and the body of a framed message; raises `InvalidBytes`."""
    if message is None or len(message) < _FRAME.size or message[0] != 0:
        raise InvalidBytes(
            "not a framed message",
            got="nothing" if message is None else f"{len(message)} bytes",
            expected="0x00, a 4-byte schema id, Avro",
        )
    return int.from_bytes(message[1:5], "big"), message[5:]


def canonical_json(document: Any) -> bytes:
    """The one spelling of a JSON document, as RFC 8785 has it (held against it in tests).

    For our documents, which hold neither fractions nor whole numbers beyond 2^53.
    """
    return _canonical(document).encode()


def document_fingerprint(document: SchemaDocument) -> Fingerprint:
    """SHA-256 of the one spelling of a schema document with its labels, hex.

    The labels decide who may see a field, so they are part of a schema's identity here; Avro's
    own parsing canonical form drops them.
    """
    return Fingerprint(hashlib.sha256(canonical_json(document)).hexdigest())


@lru_cache(maxsize=1024)  # pure Python, a millisecond each, and one schema is parsed many times
def _single_object_header(canonical: str) -> bytes:
    return _SINGLE_OBJECT + bytes.fromhex(avro_fingerprint(canonical, "CRC-64-AVRO"))


class AvroType:
    """One parsed schema that encodes and decodes bodies; raises `InvalidContract` for a bad one.

    `fingerprint` is `document_fingerprint` of its document, `single_object_header` what its single
    objects begin with.
    """

    __slots__ = (
        "_is_narrow",
        "_parsed",
        "_reader",
        "document",
        "fingerprint",
        "name",
        "single_object_header",
    )

    def __init__(self, document: SchemaDocument) -> None:
        self.document = document
        self.name: str = f"{document.get('namespace', '')}.{document.get('name')}".lstrip(".")
        try:
            self._parsed = fastavro.parse_schema(dict(document), named_schemas={})
        except _UNPARSABLE as error:
            raise InvalidContract(f"{self.name} is not an Avro schema", got=error) from None
        self.single_object_header = _single_object_header(to_parsing_canonical_form(self._parsed))
        self.fingerprint = document_fingerprint(document)
        self._is_narrow = find_check(document)
        # made when it is first needed: most types are never read so, and it takes milliseconds
        self._reader: Callable[[], Read | None] = cache(lambda: find_reader(document))

    def encode(self, datum: Mapping[str, Any]) -> bytes:
        """The datum as an Avro body; raises `InvalidEvent`, which names no value."""
        out = BytesIO()
        try:
            fastavro.schemaless_writer(out, self._parsed, datum, strict=True)
        except _UNWRITABLE:
            raise InvalidEvent(f"a value does not fit the schema {self.name}") from None
        return out.getvalue()

    def decode(self, body: bytes) -> dict[str, Any]:
        """The datum of an Avro body, all of it; raises `InvalidBytes`, which names no value."""
        return self._read(body, None)

    def decode_as(self, body: bytes, reader: AvroType) -> dict[str, Any]:
        """The datum of a body of this schema, resolved to the reader's; raises `InvalidBytes`."""
        if self._is_narrow is not None or _LONG_NUMBER.search(body):
            self._read(body, None)  # what was written too wide, a reader may have widened
        return self._read(body, reader)

    def _read(self, body: bytes, reader: AvroType | None) -> dict[str, Any]:
        source = BytesIO(body)
        target = None if reader is None else reader._parsed
        try:
            datum: dict[str, Any] = fastavro.schemaless_reader(source, self._parsed, target)
        except (*_UNREADABLE, SchemaResolutionError):
            raise InvalidBytes(f"the body cannot be read as {self.name}") from None
        if source.tell() != len(body):
            raise InvalidBytes(
                f"bytes are left over after {self.name}", got=f"{len(body) - source.tell()} bytes"
            )
        is_narrow = (reader or self)._is_narrow
        if is_narrow is not None and not is_narrow(datum):
            raise InvalidBytes(f"an int of {self.name} is beyond 32 bits")
        if reader is None and _LONG_NUMBER.search(body) and self.encode(datum) != body:
            raise InvalidBytes(f"a number of {self.name} may be beyond 64 bits")
        return datum

    def encode_single_object(self, datum: Mapping[str, Any]) -> bytes:
        """The datum in single-object encoding."""
        return self.single_object_header + self.encode(datum)

    def decode_single_object(self, data: bytes) -> dict[str, Any]:
        """The datum of a single object of this schema; raises `InvalidBytes`.

        Evidence has one spelling: what another reader of Avro might refuse or take otherwise (a
        negative branch, a number longer than it need be) is refused.
        """
        if (strictly := self._read_strictly(data)) is not None:
            return strictly
        if not self.wrote(data):
            raise InvalidBytes(f"not a single object of schema {self.name}")
        datum = self.decode(data[len(self.single_object_header) :])
        if self.encode_single_object(datum) != data:
            raise self.other_spelling()
        return datum

    def _read_strictly(self, data: bytes) -> dict[str, Any] | None:
        """The same in a fraction of the time; None where it takes fastavro to know."""
        if not self.wrote(data) or (read := self._reader()) is None:
            return None
        try:
            datum, end = read(data, len(self.single_object_header))
        except NOT_TAKEN:
            return None
        return datum if end == len(data) else None

    def other_spelling(self) -> InvalidBytes:
        """What bytes are that could be read, and that nobody writes so."""
        return InvalidBytes(f"{self.name} is not in its one spelling")

    def wrote(self, data: bytes) -> bool:
        """Whether single-object bytes name this schema."""
        return data.startswith(self.single_object_header)


def parse_schema(document: SchemaDocument) -> AvroType:
    """The type of a foreign schema document; raises `InvalidContract` if it is no Avro record."""
    try:
        return AvroType(document)
    except (SchemaParseException, KeyError, TypeError, ValueError):
        raise InvalidContract("the schema document is not a record in Avro") from None
