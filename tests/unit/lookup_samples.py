"""Look-ups in the packaged nation about one invented woman and her mother."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

from civicbus_consumers.lookup.bench import Bench, Lookup
from civicbus_consumers.lookup.handler import Answered, answer_batch
from civicbus_consumers.lookup.plan import VIEW, ReadPlan, compile_reads
from civicbus_consumers.lookup.replies import Reply
from civicbus_consumers.lookup.request import LookupRequest, parse_request
from civicbus_consumers.lookup.token import Token
from civicbus_consumers.population.reading import PersonRow
from civicbus_consumers.recording.chain import Chain
from civicbus_consumers.recording.recorder import Recorder
from civicbus_deploy.provisioning.nation import load_nation
from civicbus_schemas.consent import Consent, SubjectConsents
from civicbus_schemas.ids import AgencyId, Pin, new_recorder_id
from civicbus_schemas.page import PageRef, key_id
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import ConsentStatus
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes import vault
from tests.fakes.lookup import FakePages, FakeStates, FakeView

TOPIC_KEY = b"t" * 32
SIGNER = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
AT = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
VSS, BANK, MOJ = AgencyId("vss"), AgencyId("bank"), AgencyId("moj")
CREDIT = "credit.verify-customer"
LAN, MOTHER, NOBODY = Pin("001390012345"), Pin("001161054321"), Pin("001390099999")
NAME, BORN, ADDRESS = "Nguyễn Thị Lan", date(1990, 4, 5), "12 ngõ Huyện, Hoàn Kiếm"
OFFICER, CASE = "cb-0417 Trần Văn Đức", "HS-2026/00417"
PERSONAL = (LAN.number, MOTHER.number, NOBODY.number, NAME, str(BORN), ADDRESS, OFFICER, CASE)
"""Every personal value of these samples; none of them may show up sideways (I6)."""


@cache
def policy() -> PolicySet:
    """The packaged nation."""
    return load_nation().policy


@cache
def plan() -> ReadPlan:
    """Its plan of reads."""
    return compile_reads(policy())


def person(**changes: Any) -> PersonRow:
    """The woman as the view knows her."""
    values = dict.fromkeys(policy().contracts[VIEW].fields) | {
        "pin": LAN.number,
        "full_name": NAME,
        "date_of_birth": BORN,
        "sex": "female",
        "permanent_address": ADDRESS,
        "permanent_commune_code": "00070",
        "marital_status": "single",
        "mother_pin": MOTHER.number,
    }
    return PersonRow(values=values | changes, watermark=41)


def asked(**changes: Any) -> dict[str, Any]:
    """A read of one field by the social-security agency; a change to None leaves a member out."""
    document = {
        "officer": OFFICER,
        "full_name": NAME,
        "date_of_birth": BORN.isoformat(),
        "pin": LAN.number,
        "purpose": "health-insurance.enrol-child",
        "case": CASE,
        "mode": "read",
        "fields": ["permanent_address"],
    }
    return {key: value for key, value in (document | changes).items() if value is not None}


def verifying(**claims: Any) -> dict[str, Any]:
    """The bank's claims about the woman."""
    claims = claims or {"full_name": NAME}
    return asked(purpose=CREDIT, mode="verify", fields=None, claims=claims)


def request(document: dict[str, Any] | None = None) -> LookupRequest:
    """The parsed request."""
    return parse_request(json.dumps(document or asked()).encode())


def token(agency: AgencyId = VSS) -> Token:
    """A verified token."""
    now = int(time.time())
    return Token(agency=agency, jti="5a" * 16, issued_at=now, expires_at=now + 60)


def lookup(document: dict[str, Any] | None = None, *, agency: AgencyId = VSS) -> Lookup:
    """An admitted look-up."""
    return Lookup(token=token(agency), request=request(document))


def consent(*fields: str, **changes: Any) -> Consent:
    """The woman's consent for the bank."""
    values: dict[str, Any] = {
        "id": "0190b6f0-0000-7000-8000-000000000001",
        "version": 1,
        "recipient": BANK,
        "purpose": CREDIT,
        "fields": frozenset(f"{VIEW}:{path}" for path in fields or ("full_name",)),
        "status": ConsentStatus.GIVEN,
        "since": AT,
    }
    return Consent(**values | changes)


def states(*consents: Consent) -> FakeStates:
    """The nation's plan, and the woman's consents."""
    key = topic_pseudonym(TOPIC_KEY, LAN).encode()
    return FakeStates(plan(), consents={key: SubjectConsents(consents)})


def bench(*consents: Consent, view: FakeView | None = None) -> Bench:
    """A bench of fakes on which the woman is known."""
    return Bench(
        states=states(*consents),
        view=view or FakeView({LAN: person()}),
        topic_key=TOPIC_KEY,
        vault=vault.FakeVault(),
    )


def recorder(pages: FakePages, closes: PageRef | None = None) -> Recorder:
    """A recorder of a fresh chain."""
    return Recorder(
        pages,
        chain=Chain(process="lookup", recorder=new_recorder_id(), closes=closes),
        signer=SIGNER,
        key=key_id(SIGNER.public_key().public_bytes_raw()),
    )


def answered(*lookups: Lookup, on: Bench | None = None) -> tuple[Answered, list[Record]]:
    """What a batch comes to, and the records that were made durable."""
    pages = FakePages()
    outcome = answer_batch(lookups, on or bench(), recorder=recorder(pages))
    return outcome, [Record.decode(leaf) for page in pages.pages for leaf in page.records]


def reply(
    document: dict[str, Any] | None = None, *, agency: AgencyId = VSS, on: Bench | None = None
) -> Reply:
    """The reply to one look-up."""
    return answered(lookup(document, agency=agency), on=on)[0].replies[0]


def opened(sealed: bytes, record: Record) -> tuple[bytes, Any]:
    """Salt and contents of a sealed part."""
    salt, plaintext = vault.opened(sealed, record)
    return salt, json.loads(plaintext)
