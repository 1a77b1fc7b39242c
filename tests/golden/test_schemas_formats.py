"""Committed bytes: the formats of topics and ledger do not change unseen."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from civicbus_schemas.codec import unframe
from civicbus_schemas.consent import SubjectConsents
from civicbus_schemas.envelope import parse_headers
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.page import HeaderLeaf, Page, PageHeader
from civicbus_schemas.record import RECORD, Record
from civicbus_schemas.withheld import Notice
from cryptography.exceptions import InvalidSignature

from tests.golden import schemas_formats as formats
from tests.unit import schemas_samples as samples

FORMATS, TAMPERED = formats.formats(), formats.tampered()
READERS: dict[str, Callable[[bytes], Any]] = {
    "record-leaf": Record.decode,
    "page-header-leaf": HeaderLeaf.decode,
    "page": Page.decode,
    "state-consent": SubjectConsents.decode,
    "withheld-notice": Notice.decode,
}
FORGED = [name for name in TAMPERED if name.endswith(("-raised", "-zeroed"))]
UNREADABLE = [name for name in TAMPERED if name not in FORGED]


@pytest.mark.parametrize("name", FORMATS | TAMPERED)
def test_bytes_are_the_committed_ones_when_they_are_written(name: str) -> None:
    assert (FORMATS | TAMPERED)[name] == formats.golden(name)


def test_no_committed_file_is_forgotten_when_the_folder_is_listed() -> None:
    committed = {file.stem for file in formats.FOLDER.glob("*.hex")}
    assert committed == set(FORMATS | TAMPERED)


def test_values_are_the_fixed_ones_when_committed_bytes_are_read() -> None:
    assert Record.decode(formats.golden("record-leaf")) == samples.record()
    assert PageHeader.decode(formats.golden("page-header")) == samples.header()
    assert HeaderLeaf.decode(formats.golden("page-header-leaf")).header == samples.header()
    assert Page.decode(formats.golden("page")) == formats.page()
    assert SubjectConsents.decode(formats.golden("state-consent")) == formats.consents()
    assert Notice.decode(formats.golden("withheld-notice")) == formats.notice()
    schema_id, body = unframe(formats.golden("event-in-frame"))
    assert schema_id == 258
    assert samples.birth_contract().avro.decode(body) == samples.birth_datum()


def test_headers_are_the_fixed_ones_when_committed_lines_are_read() -> None:
    lines = formats.golden("envelope-headers").split(b"\n")
    pairs = [line.split(b": ", 1) for line in lines]
    assert parse_headers([(name.decode(), value) for name, value in pairs]) == formats.envelope()


def test_pseudonyms_are_hmacs_when_they_are_computed_with_the_standard_library() -> None:
    def keyed(key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, hashlib.sha256).digest()

    recipient = formats.KEY[::-1]
    expected = [
        keyed(formats.KEY, b"vn-pin\x00001324012345"),
        keyed(recipient, b"vn-pin\x00001324012345"),
        keyed(recipient, b"delivery\0ev-1\0vss.a@3"),
    ]
    assert formats.golden("pseudonyms") == b"".join(name[:16] for name in expected)
    secret = keyed(formats.KEY, b"secret\0" + recipient)
    row = keyed(formats.KEY, b"subject\0officer\0vss\0lan")
    expected = [row, keyed(secret, b"pseudonym")[:16], keyed(secret, b"seal")]
    assert formats.golden("vault-row") == b"".join(expected)


def test_a_leaf_names_its_schema_when_its_fingerprint_is_computed_by_hand() -> None:
    text = json.dumps(canonical(RECORD.document, "civicbus.audit"), separators=(",", ":"))
    crc = crc_64_avro(text.encode())
    assert formats.golden("record-leaf")[:10] == b"\xc3\x01" + crc.to_bytes(8, "little")


def canonical(schema: Any, space: str) -> Any:
    """Avro's parsing canonical form: full names, `name type fields symbols items size`, no more."""
    match schema:
        case list():
            return [canonical(branch, space) for branch in schema]
        case {"type": "record", "name": name, "fields": entries}:
            fields = [{"name": e["name"], "type": canonical(e["type"], space)} for e in entries]
            return {"name": f"{space}.{name}", "type": "record", "fields": fields}
        case {"type": "fixed", "name": name, "size": size}:
            return {"name": f"{space}.{name}", "type": "fixed", "size": size}
        case {"type": "array", "items": items}:
            return {"type": "array", "items": canonical(items, space)}
        case {"type": str(primitive)}:
            return primitive
        case str() if schema[0].isupper():
            return f"{space}.{schema}"
    return schema


def crc_64_avro(data: bytes) -> int:
    """The Rabin fingerprint after the pseudo-code of the Avro specification."""
    empty = 0xC15D213AA4D7A795
    crc = empty
    for byte in data:
        value = (crc ^ byte) & 0xFF
        for _ in range(8):
            value = (value >> 1) ^ (empty if value & 1 else 0)
        crc = (crc >> 8) ^ value
    return crc


@pytest.mark.parametrize("name", UNREADABLE)
def test_bytes_are_refused_when_they_were_tampered_with(name: str) -> None:
    with pytest.raises(InvalidBytes):
        READERS[name.partition("~")[0]](formats.golden(name))


@pytest.mark.parametrize("name", FORGED)
def test_a_signature_fails_when_the_leaf_was_tampered_with(name: str) -> None:
    whole = HeaderLeaf.decode(formats.golden("page-header-leaf"))
    formats.SIGNER.public_key().verify(whole.signature, whole.signed)
    leaf = HeaderLeaf.decode(formats.golden(name))
    with pytest.raises(InvalidSignature):
        formats.SIGNER.public_key().verify(leaf.signature, leaf.signed)
