"""The page: chained by hash, signed, and bound to its records by their root."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.page import (
    HEADER,
    HEADER_LEAF,
    HeaderLeaf,
    Page,
    PageHeader,
    key_id,
    sign_page,
)
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.unit import schemas_samples as samples

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = SIGNER.public_key()
KEY = key_id(PUBLIC.public_bytes_raw())
LEAVES = (samples.record().encode(),)


def page(header: PageHeader | None = None) -> Page:
    """A signed page of one record."""
    return sign_page(
        header or samples.header(), records=LEAVES, sealed=(b"sealed",), signer=SIGNER, key=KEY
    )


def test_a_page_is_the_same_when_it_is_written_and_read() -> None:
    assert Page.decode(page().encode()) == page()


def test_a_header_is_the_same_when_it_is_written_and_read() -> None:
    header = samples.header()
    assert PageHeader.decode(header.encode()) == header
    assert HeaderLeaf.decode(page().header).header == header


@pytest.mark.parametrize(
    "change",
    [{"previous": None}, {"closes": None}, {"released": None}, {"policy": None},
     {"positions": ()}, {"records": 0}, {"sequence": 0}],
)  # fmt: skip
def test_a_header_is_the_same_when_something_is_not_there(change: dict[str, Any]) -> None:
    header = samples.header(**change)
    assert PageHeader.decode(header.encode()) == header
    assert page(header).hash != page().hash


def test_a_heartbeat_is_a_page_when_it_has_no_records() -> None:
    header = samples.header(records=0, root=hashlib.sha256().hexdigest())
    heartbeat = sign_page(header, records=(), sealed=(), signer=SIGNER, key=KEY)
    assert Page.decode(heartbeat.encode()) == heartbeat


def test_the_hash_is_sha256_of_the_header_leaf_when_it_is_computed_by_hand() -> None:
    assert page().hash == hashlib.sha256(page().header).hexdigest()


def test_a_key_id_is_8_bytes_of_sha256_when_it_is_computed_by_hand() -> None:
    assert hashlib.sha256(PUBLIC.public_bytes_raw()).hexdigest()[:16] == KEY


def test_the_signature_verifies_when_nothing_was_changed() -> None:
    leaf = HeaderLeaf.decode(page().header)
    PUBLIC.verify(leaf.signature, leaf.signed)
    assert leaf.key == KEY
    assert leaf.signed == samples.header().encode()


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": 6},
        {"previous": "00" * 32},
        {"recorder": "ab" * 16},
        {"released": None},
        {"root": "00" * 32},
        {"records": 2},
        {"positions": ()},
        {"process": "enforce-1"},
        {"policy": None},
    ],
)
def test_the_signature_fails_when_the_header_was_tampered_with(change: dict[str, Any]) -> None:
    datum = HEADER_LEAF.decode_single_object(page().header)
    datum["header"] = replace(samples.header(), **change).encode()
    leaf = HeaderLeaf.decode(HEADER_LEAF.encode_single_object(datum))
    with pytest.raises(InvalidSignature):
        PUBLIC.verify(leaf.signature, leaf.signed)


def test_the_hash_changes_when_only_the_signature_was_changed() -> None:
    datum = HEADER_LEAF.decode_single_object(page().header)
    datum["signature"] = bytes(64)
    changed = replace(page(), header=HEADER_LEAF.encode_single_object(datum))
    assert changed.hash != page().hash


@pytest.mark.parametrize("sealed", [(), (b"a", b"b")])
def test_a_page_is_refused_when_sealed_parts_do_not_match_records(sealed: tuple[bytes]) -> None:
    with pytest.raises(InvalidBytes, match="sealed parts"):
        Page.decode(replace(page(), sealed=sealed).encode())


@pytest.mark.parametrize("version", [0, 2])
def test_a_header_is_refused_when_it_is_of_another_version(version: int) -> None:
    datum = HEADER.decode_single_object(samples.header().encode()) | {"v": version}
    with pytest.raises(InvalidBytes, match="another version"):
        PageHeader.decode(HEADER.encode_single_object(datum))


@pytest.mark.parametrize("read", [Page.decode, PageHeader.decode, HeaderLeaf.decode])
@pytest.mark.parametrize("data", [b"", b"\x00", b"\xc3\x01", b"\xff" * 100])
def test_bytes_are_refused_when_they_are_no_page(read: Any, data: bytes) -> None:
    with pytest.raises(InvalidBytes):
        read(data)


def test_a_leaf_is_refused_when_its_header_is_none() -> None:
    datum = HEADER_LEAF.decode_single_object(page().header) | {"header": b"nothing"}
    with pytest.raises(InvalidBytes):
        HeaderLeaf.decode(HEADER_LEAF.encode_single_object(datum))
