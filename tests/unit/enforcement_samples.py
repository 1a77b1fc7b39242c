"""A small nation in which a birth goes to one agency by law and to a bank on consent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from civicbus_consumers.enforcement.deciding import Bench
from civicbus_consumers.enforcement.deliveries import Keys
from civicbus_consumers.enforcement.note import Coordinates
from civicbus_consumers.enforcement.rules import NoSuchSchema, Taken
from civicbus_consumers.recording.chain import Chain
from civicbus_consumers.recording.recorder import Recorder
from civicbus_schemas.codec import AvroType, frame
from civicbus_schemas.consent import Consent, SubjectConsents
from civicbus_schemas.envelope import Envelope
from civicbus_schemas.ids import AgencyId, EventId, Pin, RecorderId
from civicbus_schemas.keyring import PairwiseKeys
from civicbus_schemas.page import key_id
from civicbus_schemas.policy import PolicySet, parse_policy_set
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.vocabulary import ConsentStatus
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes.enforcement import (
    FakeClock,
    FakePageLog,
    FakeReleases,
    FakeStates,
    Journal,
    by_name,
    ready,
)
from tests.fakes.vault import FakeVault
from tests.unit import schemas_samples as samples

TOPIC_KEY = b"t" * 32
CHILD = Pin("001324012345")
SCHEMA_ID = 7
BANK_FIELDS = frozenset({f"{samples.BIRTH}:child.pin", f"{samples.BIRTH}:child.full_name"})


def policy(*, withheld: str = "silent", **changes: Any) -> PolicySet:
    """The sample nation with an agreement of the bank on births; `withheld` is both agreements'."""
    document = samples.policy() | changes
    document["agencies"]["bank"]["receives"] = ["civil-status"]
    bank = samples.consented() | {
        "reads": {},
        "releases": {samples.BIRTH: {"fields": ["child.pin", "child.full_name"]}},
    }
    told = {"withheld": withheld}
    document["agreements"] = [samples.agreement() | told, bank | told]
    return parse_policy_set(samples.policy_bytes(document))


def consent(**changes: Any) -> Consent:
    """A consent that covers what the bank gets of a birth."""
    values: dict[str, Any] = {
        "id": "c-1",
        "version": 1,
        "recipient": AgencyId("bank"),
        "purpose": "credit.check",
        "fields": BANK_FIELDS,
        "status": ConsentStatus.GIVEN,
        "since": samples.AT,
    }
    return Consent(**values | changes)


def consents(*given: Consent) -> Mapping[bytes, SubjectConsents]:
    """The state of the child of the sample event."""
    return {topic_pseudonym(TOPIC_KEY, CHILD).encode(): SubjectConsents(given)}


def type_of(schema_id: int) -> AvroType:
    """A registry that knows one schema."""
    if schema_id != SCHEMA_ID:
        raise NoSuchSchema("no such schema")
    return samples.birth_contract().avro


def taken(offset: int = 0, *, partition: int = 0, **changes: Any) -> Taken:
    """A message that holds the sample birth; `changes` spoil it in one place."""
    envelope = Envelope(
        id=EventId(f"event-{partition}-{offset}"),
        source="/agencies/moj",
        type=samples.BIRTH,
        time=samples.AT,
    )
    values: dict[str, Any] = {
        "at": Coordinates("src.moj.civil-status.v1", partition, offset),
        "key": topic_pseudonym(TOPIC_KEY, CHILD).encode(),
        "value": frame(SCHEMA_ID, samples.birth_contract().avro.encode(samples.birth_datum())),
        "headers": envelope.headers(),
    }
    return Taken(**values | changes)


def pairwise_of(agency: AgencyId) -> PairwiseKeys:
    """A recipient's key, made of its name."""
    return PairwiseKeys(key=by_name(agency))


def keys(*, pairwise_of: Callable[[AgencyId], PairwiseKeys] = pairwise_of) -> Keys:
    """Keys by name."""
    return Keys(
        topic=TOPIC_KEY,
        pairwise_of=pairwise_of,
    )


def bench(*, states: FakeStates | None = None) -> tuple[Bench, Journal, FakePageLog, FakeReleases]:
    """A bench of fakes and what they write on."""
    journal = Journal()
    log, releases = FakePageLog(journal), FakeReleases(journal)
    signer = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    recorder = Recorder(
        log,
        chain=Chain(process="enforce-0", recorder=RecorderId("ab" * 16)),
        signer=signer,
        key=key_id(signer.public_key().public_bytes_raw()),
    )
    made = Bench(
        states=states or FakeStates(ready(policy())),  # type: ignore[arg-type]
        recorder=recorder,
        releases=releases,  # type: ignore[arg-type]
        keys=keys(),
        vault=FakeVault(),
        type_of=type_of,
        clock=FakeClock().clock,
    )
    return made, journal, log, releases
