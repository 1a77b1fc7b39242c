"""Spoilt messages become dead letters: never a delivery, never the end of a worker."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import avro.schema
import pytest
from avro.errors import AvroException
from avro.io import BinaryDecoder, DatumReader
from civicbus_consumers.access.plan import compile_plan
from civicbus_consumers.enforcement.deliveries import Keys
from civicbus_consumers.enforcement.note import Coordinates
from civicbus_consumers.enforcement.rules import (
    DeadLetter,
    Event,
    NoSuchSchema,
    Taken,
    read_event,
    release_event,
)
from civicbus_consumers.recording.pages import PageBuilder
from civicbus_deploy.simulation import generate
from civicbus_schemas.codec import AvroType, frame, unframe
from civicbus_schemas.consent import NO_CONSENTS
from civicbus_schemas.envelope import Envelope
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.ids import EventId, Pin, RecorderId
from civicbus_schemas.keyring import PairwiseKeys
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.record import Positions
from civicbus_schemas.vocabulary import Reason
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.vault import FakeVault
from tests.properties.schemas_strategies import spoilt
from tests.unit import lookup_samples as samples

AT = datetime(2026, 6, 1, tzinfo=UTC)
PAIRWISE_KEY, TOPIC_KEY = b"p" * 32, b"t" * 32
POLICY = samples.policy()
PLAN = compile_plan(POLICY, pairwise_key_of=lambda _: PAIRWISE_KEY)
KEYS = Keys(topic=TOPIC_KEY, pairwise_of=lambda _: PairwiseKeys(key=PAIRWISE_KEY))
SCHEMAS = dict(enumerate(contract.avro for contract in POLICY.contracts.values()))
IDS = {avro.name: number for number, avro in SCHEMAS.items()}
PARSED = {number: avro.schema.parse(json.dumps(t.document)) for number, t in SCHEMAS.items()}


def _messages() -> dict[str, Taken]:
    """One right message of every event type that the simulation publishes."""
    found = {}
    for agency, event, _ in generate(40, 1200, 11, policy=POLICY):
        contract = event.contract
        envelope = Envelope(
            id=EventId("event-1"), source=f"/agencies/{agency}", type=event.event_type, time=AT
        )
        found[event.event_type] = Taken(
            at=Coordinates(f"src.{agency}.{contract.family}.v1", 0, 0),
            key=topic_pseudonym(TOPIC_KEY, event.key_pin).encode(),
            value=frame(IDS[contract.avro.name], contract.avro.encode(event.to_datum())),
            headers=envelope.headers(),
        )
    return found


MESSAGES = _messages()
JUNK = st.one_of(st.none(), st.binary(max_size=64))


def type_of(number: int) -> AvroType:
    try:
        return SCHEMAS[number]
    except KeyError:
        raise NoSuchSchema("no such schema") from None


def judge(message: Taken) -> DeadLetter | list[Any]:
    """What enforcement does with a message: deliveries, or a dead letter."""
    event = read_event(message, PLAN, type_of=type_of, topic_key=TOPIC_KEY)
    if isinstance(event, DeadLetter):
        return event
    assert isinstance(event, Event)
    recorder = RecorderId("ab" * 16)
    page = PageBuilder(
        recorder=recorder, sequence=0, at=AT,
        entropy=lambda size: b"n" * size,
    )  # fmt: skip
    return release_event(
        event,
        PLAN,
        consents=NO_CONSENTS,
        positions=Positions(consent=1),
        keys=KEYS,
        secrets=FakeVault().get_or_create(list(event.subjects)),
        page=page,
    )


@st.composite
def messages(draw: st.DrawFn) -> Taken:
    """A right message that was spoilt in its bytes, its key or its headers."""
    whole = MESSAGES[draw(st.sampled_from(sorted(MESSAGES)))]
    value, key, headers = whole.value or b"", whole.key, list(whole.headers)
    match draw(st.sampled_from(["cut", "flipped", "spoilt", "junk", "frame", "key", "header"])):
        case "cut":
            value = value[: draw(st.integers(0, len(value) - 1))]
        case "flipped":
            bit = draw(st.integers(0, 8 * len(value) - 1))
            value = bytes(b ^ (1 << bit % 8) * (n == bit // 8) for n, b in enumerate(value))
        case "spoilt":
            value = value[:5] + draw(spoilt(value[5:]))
        case "junk":
            value = value[:5] + draw(st.binary(max_size=200))
        case "frame":
            value = draw(st.binary(max_size=5)) + value[5:]
        case "key":
            key = draw(JUNK)
        case "header":
            place = draw(st.integers(0, len(headers) - 1))
            headers[place] = (headers[place][0], draw(st.binary(max_size=64)))
    return Taken(at=whole.at, key=key, value=value, headers=headers)


def is_readable(message: Taken) -> bool:
    """Whether another implementation of Avro reads all of it."""
    try:
        number, body = unframe(message.value)
        source = BytesIO(body)
        DatumReader(PARSED[number]).read(BinaryDecoder(source))
    except (InvalidBytes, KeyError, AvroException, *_UNREADABLE):
        return False
    return source.tell() == len(body)


_UNREADABLE = (EOFError, IndexError, OverflowError, TypeError, ValueError, AssertionError)


@settings(max_examples=600, deadline=None)
@given(messages())
def test_nothing_leaves_and_nothing_crashes_when_a_message_is_spoilt(message: Taken) -> None:
    judged = judge(message)
    if isinstance(judged, DeadLetter):
        assert judged.value == message.value, "the original bytes must stay untouched"
        return
    assert is_readable(message), "what cannot be read was released"
    assert message.key == MESSAGES[_type(message)].key


def _type(message: Taken) -> str:
    return next(v.decode() for n, v in message.headers if n == "ce_type")


@pytest.mark.parametrize("event_type", sorted(MESSAGES))
def test_a_message_is_judged_when_it_is_right(event_type: str) -> None:
    assert isinstance(judge(MESSAGES[event_type]), list)


def test_a_message_is_a_dead_letter_when_an_int_is_beyond_32_bits() -> None:
    whole = MESSAGES["health.VaccinationRecorded"]
    number, body = unframe(whole.value)
    datum = SCHEMAS[number].decode(body)
    wide = dict(SCHEMAS[number].document) | {"name": "VaccinationRecorded"}
    text = json.dumps(wide).replace('"type": "int", "doc": "Which', '"type": "long", "doc": "Which')
    writer = AvroType(json.loads(text))
    for ordinal, reason in (((1 << 31) - 1, None), (1 << 31, Reason.MALFORMED_BYTES)):
        datum["dose"]["ordinal"] = ordinal
        judged = judge(
            Taken(
                at=whole.at,
                key=topic_pseudonym(TOPIC_KEY, Pin(datum["patient"]["pin"])).encode(),
                value=frame(number, writer.encode(datum)),
                headers=whole.headers,
            )
        )
        assert (judged.reason if isinstance(judged, DeadLetter) else None) is reason
