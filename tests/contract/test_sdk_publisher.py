"""What a publisher promises, in memory and on the real broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from civicbus_producers.publisher import Publisher
from civicbus_schemas.codec import unframe
from civicbus_schemas.envelope import parse_headers
from civicbus_schemas.errors import (
    Forbidden,
    InvalidEvent,
    InvalidIdentifier,
    Refused,
    TooLarge,
)
from civicbus_schemas.ids import EventId
from civicbus_schemas.pseudonym import topic_pseudonym

from tests.contract.sdk_buses import Bus, KafkaBus, MemoryBus
from tests.contract.sdk_samples import (
    CHILD_NAME,
    CHILD_PIN,
    MOTHER_PIN,
    PERSONAL_VALUES,
    BirthRegistered,
    VaccinationRecorded,
    a_birth,
)
from tests.stack import DEADLINE_S


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.broker)])
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Bus:
    if request.param == "memory":
        return MemoryBus()
    return KafkaBus(request.getfixturevalue("stack"), tmp_path)


@pytest.fixture
def publisher(bus: Bus) -> Iterator[Publisher]:
    with bus.publisher() as publisher:
        yield publisher


def test_receipt_says_where_the_event_lies_when_it_is_acknowledged(
    bus: Bus, publisher: Publisher
) -> None:
    receipt = publisher.publish(a_birth(), subject=CHILD_PIN)
    published = receipt.wait(DEADLINE_S)
    assert receipt.acknowledged
    (message,) = bus.stored()
    assert published.event_id == receipt.event_id
    assert (published.topic, published.partition, published.offset) == (
        message.topic,
        message.partition,
        message.offset,
    )


def test_stored_message_is_the_event_in_frame_and_envelope_when_published(
    bus: Bus, publisher: Publisher
) -> None:
    at = datetime(2024, 3, 4, 9, 30, tzinfo=UTC)
    receipt = publisher.publish(a_birth(), subject=CHILD_PIN, time=at)
    publisher.flush(DEADLINE_S)
    (message,) = bus.stored()
    _, body = unframe(message.value)
    datum = BirthRegistered.contract.avro.decode(body)
    envelope = parse_headers(message.headers)
    assert BirthRegistered.from_datum(datum) == a_birth()
    assert (envelope.id, envelope.time) == (receipt.event_id, at)
    assert envelope.source == f"/agencies/{bus.publisher_agency}"
    assert envelope.type == "civil-status.BirthRegistered"
    assert envelope.ground is None


def test_key_and_headers_hold_no_personal_value_when_published(
    bus: Bus, publisher: Publisher
) -> None:
    publisher.publish(a_birth(), subject=CHILD_PIN)
    publisher.flush(DEADLINE_S)
    (message,) = bus.stored()
    assert message.key == topic_pseudonym(bytes(32), CHILD_PIN).encode()
    outside = message.key + b"".join(name.encode() + value for name, value in message.headers)
    assert not [value for value in PERSONAL_VALUES if value.encode() in outside]


def test_events_about_one_person_keep_their_order_when_many_are_published(
    bus: Bus, publisher: Publisher
) -> None:
    sent = [publisher.publish(a_birth(), subject=CHILD_PIN).event_id for _ in range(50)]
    publisher.flush(DEADLINE_S)
    stored = bus.stored()
    assert len({message.partition for message in stored}) == 1
    assert [parse_headers(message.headers).id for message in stored] == sent


def test_same_id_is_stored_again_when_an_event_is_published_again(
    bus: Bus, publisher: Publisher
) -> None:
    first = publisher.publish(a_birth(), subject=CHILD_PIN)
    publisher.publish(a_birth(), subject=CHILD_PIN, event_id=first.event_id).wait(DEADLINE_S)
    assert [parse_headers(m.headers).id for m in bus.stored()] == [first.event_id] * 2


Wrong = Callable[[Publisher], object]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        pytest.param(
            lambda p: p.publish(a_birth(), subject=MOTHER_PIN), InvalidEvent, id="other-subject"
        ),
        pytest.param(
            lambda p: p.publish(a_birth(full_name=CHILD_NAME * 30_000), subject=CHILD_PIN),
            TooLarge,
            id="over-256-KiB",
        ),
        pytest.param(
            lambda p: p.publish(a_birth(), subject=CHILD_PIN, event_id=EventId(CHILD_PIN.number)),
            InvalidIdentifier,
            id="pin-as-event-id",
        ),
        pytest.param(
            lambda p: p.publish(a_birth(), subject=CHILD_PIN, time=datetime(2024, 3, 4)),  # noqa: DTZ001
            InvalidEvent,
            id="time-without-zone",
        ),
        pytest.param(
            lambda p: p.publish({"child": CHILD_NAME}, subject=CHILD_PIN),
            InvalidEvent,
            id="no-event",
        ),
    ],
)
def test_nothing_is_stored_and_no_value_is_shown_when_an_event_is_refused(
    bus: Bus, publisher: Publisher, wrong: Wrong, error: type[Refused]
) -> None:
    with pytest.raises(error) as refused:
        wrong(publisher)
    assert not [value for value in PERSONAL_VALUES if value in str(refused.value)]
    publisher.flush(DEADLINE_S)
    assert bus.stored() == []


def test_publish_is_forbidden_when_the_family_is_not_the_agencys(publisher: Publisher) -> None:
    event = VaccinationRecorded.__new__(VaccinationRecorded)
    with pytest.raises(Forbidden, match="does not publish"):
        publisher.publish(event, subject=CHILD_PIN)


def test_publish_is_refused_when_the_publisher_is_closed(bus: Bus) -> None:
    publisher = bus.publisher()
    publisher.close()
    with pytest.raises(Refused, match="closed"):
        publisher.publish(a_birth(), subject=CHILD_PIN)
