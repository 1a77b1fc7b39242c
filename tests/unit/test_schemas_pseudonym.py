"""Pseudonyms, held against HMAC written out by hand (RFC 2104)."""

from __future__ import annotations

import hashlib

from civicbus_schemas import pseudonym
from civicbus_schemas.ids import AgreementRef, EventId, Pin

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
PIN = Pin("001324012345")


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """RFC 2104 with SHA-256, for keys of at most 64 bytes."""
    block = key.ljust(64, b"\x00")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + message).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).digest()


def test_a_pseudonym_is_16_bytes_of_hmac_when_it_is_computed_by_hand() -> None:
    expected = hmac_sha256(KEY, b"vn-pin\x00001324012345")[:16].hex()
    assert pseudonym.topic_pseudonym(KEY, PIN) == expected
    assert pseudonym.pairwise_pseudonym(KEY, PIN.number) == expected
    assert len(expected) == 32


def test_a_delivery_id_is_hmac_of_source_and_agreement_when_it_is_computed_by_hand() -> None:
    expected = hmac_sha256(KEY, b"delivery\x00ev-1\x00vss.a@3")[:16].hex()
    assert pseudonym.delivery_id(KEY, EventId("ev-1"), AgreementRef("vss.a", 3)) == expected


def test_two_recipients_cannot_join_when_they_get_the_same_person_and_event() -> None:
    keys = [KEY, OTHER]
    agreement = AgreementRef("x.y", 1)
    persons = {pseudonym.pairwise_pseudonym(key, PIN.number) for key in keys}
    deliveries = {pseudonym.delivery_id(key, EventId("ev-1"), agreement) for key in keys}
    assert len(persons) == len(deliveries) == 2


def test_names_differ_when_key_or_number_differs() -> None:
    names = {
        pseudonym.topic_pseudonym(KEY, PIN),
        pseudonym.topic_pseudonym(OTHER, PIN),
        pseudonym.topic_pseudonym(KEY, Pin("001324012346")),
    }
    assert len(names) == 3
