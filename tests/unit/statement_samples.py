"""Officers of the sample nation with real keys, and what they sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from civicbus_consumers.runtime.trust import verify
from civicbus_schemas.agreement import Agreement
from civicbus_schemas.announcement import seal_announcement
from civicbus_schemas.ids import AgencyId, AgreementRef
from civicbus_schemas.page import key_id
from civicbus_schemas.policy import parse_policy_set
from civicbus_schemas.statement import Officer, Party, Role, Statement, Trust, Word
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.unit import schemas_samples as samples

MOJ = Party(AgencyId("moj"), Role.PROVIDER)
MPS = Party(AgencyId("mps"), Role.DATA_PROTECTION)
AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def key_of(name: object) -> Ed25519PrivateKey:
    """A private key by name."""
    return Ed25519PrivateKey.from_private_bytes(str(name).encode().ljust(32, b"k")[:32])


def id_of(name: object) -> str:
    """The id of that key."""
    return key_id(key_of(name).public_key().public_bytes_raw())


def statement(
    agreement: str, *, terms: str, word: Word = Word.APPROVE, party: Party = MOJ, days: float = 0
) -> Statement:
    """A statement signed by the officer of that party, some days after the first."""
    unsigned = Statement(
        word=word,
        agreement=AgreementRef.parse(agreement),
        terms=terms,
        party=party,
        at=AT + timedelta(days=days),
        key=id_of(party),
        signature="0" * 128,
    )
    signature = key_of(party).sign(unsigned.signed_bytes())
    return replace(unsigned, signature=signature.hex())


def approvals(agreement: Agreement) -> list[Statement]:
    """Both parties approve these terms."""
    return [
        statement(str(agreement.ref), terms=agreement.terms, party=party)
        for party in agreement.approved_by
    ]


def trust(*parties: Party) -> Trust:
    """The announcer and these officers, or those of the samples."""
    keys = {p: key_of(p).public_key().public_bytes_raw() for p in parties or (MOJ, MPS)}
    announcer = key_of("announcer").public_key().public_bytes_raw()
    return Trust(
        officers={key_id(k): Officer(party=p, public_key=k) for p, k in keys.items()},
        announcers={key_id(announcer): announcer},
        verify=verify,
    )


def trust_document() -> samples.Document:
    """The trusted keys as a file holds them."""
    known = trust()
    return {
        "announcers": {id_: key.hex() for id_, key in known.announcers.items()},
        "officers": {
            id_: {"agency": o.party.agency, "role": o.party.role, "public_key": o.public_key.hex()}
            for id_, o in known.officers.items()
        },
    }


def approved_document(**changes: Any) -> samples.Document:
    """The sample set with both approvals of each agreement."""
    document = samples.policy() | changes
    agreements = parse_policy_set(samples.policy_bytes(document)).agreements
    statements = [s.document() for agreement in agreements for s in approvals(agreement)]
    return document | {"statements": statements}


def announcement(document: samples.Document, *, by: str = "announcer") -> bytes:
    """The announcement of a set, signed with the key of that name."""
    data = samples.policy_bytes(document)
    return seal_announcement(data, key=id_of(by), sign=key_of(by).sign)


def words(*said: tuple[Party, Word]) -> Sequence[Statement]:
    """Statements on one agreement, a day apart, in this order."""
    return [
        statement("vss.child-insurance@3", terms="ab" * 32, word=word, party=party, days=day)
        for day, (party, word) in enumerate(said)
    ]
