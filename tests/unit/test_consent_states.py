"""From messages to states in memory: what is folded, what is set aside, what stops."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from civicbus_consumers.consent.changes import ChangeReader
from civicbus_consumers.consent.states import Batch, States
from civicbus_consumers.consent.territory import Territory, consent_sources
from civicbus_consumers.runtime.partitioning import partition_of
from civicbus_producers.registry import NotRegistered
from civicbus_schemas.codec import SchemaDocument, frame, unframe
from civicbus_schemas.consent import SubjectConsents
from civicbus_schemas.envelope import Envelope
from civicbus_schemas.errors import Stopped, Unavailable
from civicbus_schemas.event import Event
from civicbus_schemas.ids import AgencyId, EventType, Pin, new_event_id
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.topics import SourceTopic
from civicbus_schemas.vietnam.events import BirthRegistered, ConsentGiven, ConsentWithdrawn
from civicbus_schemas.vocabulary import ConsentStatus, Reason
from confluent_kafka import Message

TOPIC = "src.vneid.consent.v1"
TOPIC_KEY = bytes(range(32))
PIN = Pin("001300000001")
KEY = topic_pseudonym(TOPIC_KEY, PIN).encode()
PARTITION = partition_of(KEY)
ID = "0190b6f0-0000-7000-8000-000000000001"
AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
SCHEMAS = dict(enumerate([ConsentGiven, ConsentWithdrawn, BirthRegistered], 1))


class Documents:
    """A registry in memory; id 500 does not answer."""

    def get_document(self, schema_id: int) -> SchemaDocument:
        if schema_id == 500:
            raise Unavailable("the registry does not answer")
        if schema_id == 77:
            return {"type": "record", "name": "NoContract", "namespace": "x", "fields": []}
        if schema_id not in SCHEMAS:
            raise NotRegistered("no such id")
        return SCHEMAS[schema_id].contract.document


def _given(id_: str = ID, *, pin: Pin = PIN, purpose: str = "credit.check-borrower") -> Event:
    return ConsentGiven(
        citizen=ConsentGiven.Citizen(pin=pin.number),
        consent_id=id_,
        recipient="bank",
        purpose=purpose,
        fields=("population.Person:date_of_birth",),
        given_at=AT,
        valid_until=None,
    )


def _withdrawn(id_: str = ID) -> Event:
    return ConsentWithdrawn(
        citizen=ConsentWithdrawn.Citizen(pin=PIN.number),
        consent_id=id_,
        recipient="bank",
        purpose="credit.check-borrower",
        withdrawn_at=AT,
    )


def _message(event: Event, **other: Any) -> Message:
    schema_id = next(n for n, cls in SCHEMAS.items() if isinstance(event, cls))
    envelope = Envelope(
        id=new_event_id(),
        source=other.pop("source", "/agencies/vneid"),
        type=EventType(other.pop("type", event.event_type)),
        time=AT,
    )
    values = {
        "topic": TOPIC,
        "partition": PARTITION,
        "offset": 9,
        "key": KEY,
        "value": frame(
            other.pop("schema_id", schema_id), event.contract.avro.encode(event.to_datum())
        ),
        "headers": envelope.headers(),
    }
    return Message(**values | other)


def _fold(states: States, *messages: Message) -> Batch:
    return states.fold(messages, reader=ChangeReader(Documents(), topic_key=TOPIC_KEY))


def test_one_state_is_left_when_a_batch_changes_a_subject_twice() -> None:
    batch = _fold(States(), _message(_given()), _message(_withdrawn()), _message(_given()))
    ((place, body),) = batch.states.items()
    assert place == (PARTITION, KEY)
    assert (batch.changed, batch.unchanged, batch.size) == (2, 1, 3)
    (consent,) = SubjectConsents.decode(body).consents
    assert (consent.status, consent.version) == (ConsentStatus.WITHDRAWN, 2)


def test_batch_counts_for_nothing_until_it_is_adopted() -> None:
    states = States()
    batch = _fold(states, _message(_given()))
    assert len(states) == 0
    assert _fold(states, _message(_given())).changed == 1
    states.adopt(batch)
    assert _fold(states, _message(_given())).changed == 0


def test_fold_goes_on_from_what_the_state_topic_holds() -> None:
    batch = _fold(States(), _message(_given()), _message(_withdrawn()))
    states = States()
    for (partition, key), body in batch.states.items():
        states.load(Message(topic="state", partition=partition, key=key, value=frame(1, body)))
    assert _fold(states, _message(_given())).states == {}


@pytest.mark.parametrize("value", [None, b"", b"\x01\x00\x00\x00\x01"])
def test_loading_stops_when_a_state_is_a_tombstone_or_unframed(value: bytes | None) -> None:
    with pytest.raises(Stopped):
        States().load(Message(topic="state", partition=0, offset=1, key=KEY, value=value))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (_message(_given(), key=b"0" * 32), Reason.KEY_MISMATCH),
        (_message(_given(), key=PIN.number.encode()), Reason.KEY_MISMATCH),
        (_message(_given(), key=None), Reason.KEY_MISMATCH),
        (_message(_given(), partition=(PARTITION + 1) % 12), Reason.WRONG_PARTITION),
        (_message(_given(), headers=None), Reason.MALFORMED_HEADERS),
        (_message(_given(), source="/agencies/moj"), Reason.MALFORMED_HEADERS),
        (_message(_given(), schema_id=77), Reason.UNKNOWN_SCHEMA),
        (_message(_given(), type="consent.ConsentWithdrawn"), Reason.UNKNOWN_EVENT_TYPE),
        (_message(_given(), schema_id=2), Reason.UNKNOWN_EVENT_TYPE),
        (_message(_given(), value=None), Reason.MALFORMED_BYTES),
        (_message(_given(), value=frame(1, b"\x00")), Reason.MALFORMED_BYTES),
        (_message(_given(purpose="Loans")), Reason.MALFORMED_BYTES),
        (_message(_given(id_="1")), Reason.MALFORMED_BYTES),
        (_message(_given(), value=bytes(300_000)), Reason.TOO_LARGE),
    ],
)
def test_message_is_set_aside_with_its_reason_when_it_tells_no_change(
    message: Message, reason: Reason
) -> None:
    states = States()
    batch = _fold(states, message, _message(_given()))
    assert [(dead, why) for dead, why in batch.dead] == [(message, reason)]
    assert batch.changed == 1


@pytest.mark.parametrize("schema_id", [500, 4], ids=["silent", "unknown-there"])
def test_folding_raises_when_the_registry_does_not_answer_or_know_the_schema(
    schema_id: int,
) -> None:
    with pytest.raises(Unavailable):
        _fold(States(), _message(_given()), _message(_given(), schema_id=schema_id))


def test_states_are_framed_bodies_that_enforcement_reads() -> None:
    batch = _fold(States(), _message(_given()))
    (body,) = batch.states.values()
    assert SubjectConsents.decode(unframe(frame(5, body))[1]).consents[0].id == ID


def test_sources_are_all_topics_of_the_family() -> None:
    names = [TOPIC, "src.other.consent.v1", "src.moj.civil-status.v1", TOPIC + ".dlq", "state.x"]
    assert consent_sources(names) == (
        SourceTopic(AgencyId("other"), "consent"),
        SourceTopic(AgencyId("vneid"), "consent"),
    )


def test_groups_share_all_partitions_between_them() -> None:
    territories = [Territory(group=k, groups=3, sources=()) for k in range(3)]
    assert sorted(p for t in territories for p in t.partitions) == list(range(12))
    assert [t.name for t in territories] == ["consent-0", "consent-1", "consent-2"]
