"""Fixed values and their bytes: `python -m tests.golden.schemas_formats` writes them anew.

A change of these files is a change of format. Whoever has old leaves, pages or state must still be
able to read them, so a change needs a new version and a dated paragraph in schemas/README.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from civicbus_schemas import pseudonym
from civicbus_schemas.codec import frame
from civicbus_schemas.consent import SUBJECT_CONSENTS, Consent, SubjectConsents, Uses
from civicbus_schemas.envelope import Envelope, Ground
from civicbus_schemas.ids import AgencyId, AgreementRef, EventId, EventType, Pin, RecordId
from civicbus_schemas.page import HEADER_LEAF, Page, key_id, sign_page
from civicbus_schemas.record import RECORD
from civicbus_schemas.subject import VaultKey, officer
from civicbus_schemas.vocabulary import ConsentStatus, UsePeriod
from civicbus_schemas.withheld import WITHHELD, Notice, WithheldReason
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.unit import schemas_samples as samples

FOLDER = Path(__file__).parent / "schemas"

KEY = bytes(range(32))
PIN = Pin("001324012345")
SIGNER = Ed25519PrivateKey.from_private_bytes(KEY)


def envelope() -> Envelope:
    """The headers of a delivery."""
    return Envelope(
        id=EventId("0190b3a0-0000-7000-8000-000000000000"),
        source="/agencies/moj",
        type=EventType("civil-status.Birth"),
        time=samples.AT,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ground=Ground(
            purpose="insurance.enrol",
            basis="law.state",
            agreement=AgreementRef("vss.child-insurance", 3),
            record_id=RecordId("0f" * 16),
        ),
    )


def consents() -> SubjectConsents:
    """A subject who gave one consent, withdrew another, and paused a third that is counted."""
    given = Consent(
        id="6f1c2f62-7c5c-4c0e-9a53-0f5f3c0a9c11",
        version=1,
        recipient=AgencyId("bank"),
        purpose="credit.check",
        fields=frozenset({"population.Person:full_name", "population.Person:sex"}),
        status=ConsentStatus.GIVEN,
        since=samples.AT,
        valid_until=samples.AT + timedelta(days=30),
    )
    withdrawn = replace(
        given, id="c-2", version=2, status=ConsentStatus.WITHDRAWN, valid_until=None
    )
    paused = replace(
        given,
        id="c-3",
        version=5,
        status=ConsentStatus.PAUSED,
        uses=Uses(count=3, per=UsePeriod.MONTH),
        erase_at=samples.AT + timedelta(days=365),
    )
    return SubjectConsents((given, withdrawn, paused))


def page() -> Page:
    """A signed page of one record."""
    return sign_page(
        samples.header(),
        records=[samples.record().encode()],
        sealed=[b"sealed part"],
        signer=SIGNER,
        key=key_id(SIGNER.public_key().public_bytes_raw()),
    )


def notice() -> Notice:
    """What a recipient is told whose consent was withdrawn."""
    return Notice(event_type=EventType("civil-status.Birth"), reason=WithheldReason.CONSENT_CHANGED)


def formats() -> dict[str, bytes]:
    """What lies on topics and in the ledger, by name."""
    headers = b"\n".join(name.encode() + b": " + value for name, value in envelope().headers())
    recipient = KEY[::-1]
    names = (
        pseudonym.topic_pseudonym(KEY, PIN),
        pseudonym.pairwise_pseudonym(recipient, PIN.number),
        pseudonym.delivery_id(recipient, EventId("ev-1"), AgreementRef("vss.a", 3)),
    )
    vault = VaultKey(KEY)
    secret = vault.secret_of(recipient, since=samples.AT)
    named = officer(AgencyId("vss"), "lan")
    event = samples.birth_contract().avro.encode(samples.birth_datum())
    return {
        "event-in-frame": frame(258, event),
        "envelope-headers": headers,
        "pseudonyms": b"".join(map(bytes.fromhex, names)),
        "vault-row": vault.row_of(named) + bytes.fromhex(secret.pseudonym) + secret.sealing_key,
        "record-leaf": samples.record().encode(),
        "page-header": samples.header().encode(),
        "page-header-leaf": page().header,
        "page": page().encode(),
        "state-consent": consents().encode(),
        "withheld-notice": notice().encode(),
    }


def tampered() -> dict[str, bytes]:
    """The same, spoilt; each is named by what was done to it."""
    return dict(_tampered(formats()))


def _tampered(whole: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    leaf = whole["record-leaf"]
    yield "record-leaf~last-byte-cut", leaf[:-1]
    yield "record-leaf~byte-added", leaf + b"\x00"
    yield "record-leaf~other-schema", leaf[:2] + bytes(8) + leaf[10:]
    yield "record-leaf~without-schema", leaf[10:]
    yield "record-leaf~version-2", _respelt(RECORD, leaf, v=2)
    yield "record-leaf~unknown-kind", _respelt(RECORD, leaf, kind="gossip")
    yield "record-leaf~unknown-reason", _respelt(RECORD, leaf, reason="because")
    yield "record-leaf~longer-number", leaf[:10] + b"\x82\x00" + leaf[11:]
    header = whole["page-header-leaf"]
    other = samples.header(sequence=6).encode()
    yield "page-header-leaf~sequence-raised", _respelt(HEADER_LEAF, header, header=other)
    yield "page-header-leaf~signature-zeroed", _respelt(HEADER_LEAF, header, signature=bytes(64))
    yield "page-header-leaf~last-byte-cut", header[:-1]
    yield "page~sealed-part-dropped", replace(page(), sealed=()).encode()
    yield "page~last-byte-cut", whole["page"][:-1]
    state = SUBJECT_CONSENTS.decode(whole["state-consent"])
    state["consents"][1]["status"] = "revived"
    yield "state-consent~unknown-status", SUBJECT_CONSENTS.encode(state)
    state = SUBJECT_CONSENTS.decode(whole["state-consent"])
    state["consents"][2]["uses"]["per"] = "century"
    yield "state-consent~unknown-period", SUBJECT_CONSENTS.encode(state)
    yield (
        "withheld-notice~unknown-reason",
        WITHHELD.encode({"event_type": "civil-status.Birth", "reason": "because"}),
    )
    yield "withheld-notice~last-byte-cut", whole["withheld-notice"][:-1]
    yield "state-consent~last-byte-cut", whole["state-consent"][:-1]


def _respelt(type_: Any, data: bytes, **changes: object) -> bytes:
    """A single object with some of its fields changed."""
    written: bytes = type_.encode_single_object(type_.decode_single_object(data) | changes)
    return written


def golden(name: str) -> bytes:
    """The committed bytes of that name."""
    return bytes.fromhex((FOLDER / f"{name}.hex").read_text("ascii"))


def write_all() -> None:
    """Write every file anew."""
    for name, data in (formats() | tampered()).items():
        text = data.hex()
        lines = [text[start : start + 64] for start in range(0, len(text), 64)]
        (FOLDER / f"{name}.hex").write_text("\n".join(lines) + "\n", "ascii")


if __name__ == "__main__":
    write_all()
