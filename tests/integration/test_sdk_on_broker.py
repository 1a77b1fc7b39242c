"""The SDK against the real broker: logins, grants, transactions, rebalances, retention."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.partitioner import DefaultPartitioner
from civicbus_consumers.subscription import DeliveriesExpired, Subscription
from civicbus_producers.publisher import Publisher
from civicbus_producers.receipt import NotAcknowledged
from civicbus_producers.registry import NotRegistered, Registry, subject_name
from civicbus_schemas.codec import AvroType, frame
from civicbus_schemas.errors import Forbidden, Unavailable
from civicbus_schemas.ids import Pin, agency_id
from civicbus_schemas.topics import PARTITIONS
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AclOperation
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from tests.contract.sdk_buses import KafkaBus
from tests.contract.sdk_samples import (
    CHILD_PIN,
    SUBJECT,
    BirthRegistered,
    VaccinationRecorded,
    a_birth,
    delivered_datum,
    delivered_schema,
    delivery_envelope,
)
from tests.stack import DEADLINE_S, Stack, wait_until

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def bus(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> KafkaBus:
    return KafkaBus(stack, tmp_path_factory.mktemp("sdk"))


@pytest.fixture
def fresh(stack: Stack, tmp_path: Path) -> KafkaBus:
    return KafkaBus(stack, tmp_path)


@pytest.fixture
def wrong_password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text("not the password\n")
    return path


def test_connecting_is_forbidden_before_its_time_is_over_when_the_password_is_wrong(
    bus: KafkaBus, wrong_password: Path
) -> None:
    for connect, agency in (
        (Publisher.connect, bus.publisher_agency),
        (Subscription.connect, bus.recipient),
    ):
        connection = bus.connection(agency, password_file=wrong_password)
        began = time.monotonic()
        with pytest.raises(Forbidden, match="AUTHENTICATION") as error:
            connect(agency, connection, connect_timeout_s=DEADLINE_S)
        assert time.monotonic() - began < DEADLINE_S
        assert "not the password" not in str(error.value)


def test_connecting_is_unavailable_when_no_broker_listens(bus: KafkaBus) -> None:
    connection = bus.connection(bus.publisher_agency, bootstrap="127.0.0.1:9")
    with pytest.raises(Unavailable):
        Publisher.connect(bus.publisher_agency, connection, connect_timeout_s=1)


def test_publishing_is_forbidden_when_the_source_topic_is_another_agencys(fresh: KafkaBus) -> None:
    stranger = fresh.publisher_agency.replace("moj", "mps")
    fresh.register(f"src.{stranger}.civil-status.v1", BirthRegistered.contract.document)
    fresh.stack.create_topics(f"src.{stranger}.civil-status.v1", partitions=PARTITIONS)
    own = fresh.connection(fresh.publisher_agency)
    connection = replace(own, agency=agency_id(stranger))
    with suppress(NotAcknowledged), Publisher.connect(stranger, connection) as publisher:
        for _ in range(2):  # the receipt says so, or publishing itself once the broker has answered
            with pytest.raises(Forbidden, match="TOPIC_AUTHORIZATION_FAILED"):
                publisher.publish(a_birth(), subject=CHILD_PIN).wait(DEADLINE_S)


def test_receiving_is_forbidden_when_the_deliveries_are_another_agencys(bus: KafkaBus) -> None:
    topic = f"dlv.{bus.publisher_agency}.civil-status.v1"
    bus.stack.create_topics(topic, partitions=1)
    connection = bus.connection(bus.recipient, delivery_topics=(topic,))
    with (
        pytest.raises(Forbidden, match="TOPIC_AUTHORIZATION_FAILED"),
        Subscription.connect(bus.recipient, connection) as subscription,
    ):
        next(subscription.deliveries(idle_s=DEADLINE_S))


def test_receiving_is_forbidden_when_the_group_is_another_agencys(bus: KafkaBus) -> None:
    connection = bus.connection(bus.recipient, group_prefix="npd.")
    with (
        pytest.raises(Forbidden, match="GROUP_AUTHORIZATION_FAILED"),
        Subscription.connect(bus.recipient, connection) as subscription,
    ):
        next(subscription.deliveries(idle_s=DEADLINE_S))


def test_key_lands_where_javas_clients_put_it_when_published(bus: KafkaBus) -> None:
    with bus.publisher() as publisher:
        pins = [Pin(f"001324{number:06d}") for number in range(40)]
        for pin in pins:
            child = a_birth().child.__class__(
                pin=pin.number,
                date_of_birth=a_birth().child.date_of_birth,
                full_name="Trẻ Em",
                sex="female",
                place_of_birth="Hà Nội",
                nationality="VN",
            )
            publisher.publish(a_birth(child=child), subject=pin)
    numbers = list(range(PARTITIONS))
    stored = bus.stored()
    assert len(stored) == len(pins)
    assert [m.partition for m in stored] == [
        DefaultPartitioner()(m.key, numbers, numbers) for m in stored
    ]


def test_aborted_deliveries_never_arrive_when_committed_ones_do(fresh: KafkaBus) -> None:
    fresh.stack.grant("admin", AclOperation.ALL, transactional_id=fresh.recipient)
    producer = Producer(fresh.stack.client_config() | {"transactional.id": fresh.recipient})
    producer.init_transactions(DEADLINE_S)
    value = frame(fresh.delivered_id, AvroType(delivered_schema()).encode(delivered_datum()))
    for number, is_aborted in enumerate([False, True, False]):
        producer.begin_transaction()
        producer.produce(
            fresh.topic,
            value,
            key=SUBJECT.encode(),
            headers=delivery_envelope(number).headers(),
            partition=0,
        )
        producer.flush(DEADLINE_S)
        if is_aborted:
            producer.abort_transaction(DEADLINE_S)
        else:
            producer.commit_transaction(DEADLINE_S)
    with fresh.subscription() as subscription:
        numbers = []
        for delivery in subscription.deliveries(idle_s=0):
            numbers.append(int(delivery.event_id, 16))
            delivery.acknowledge()
    assert numbers == [0, 2]
    with fresh.subscription() as subscription:
        assert list(subscription.deliveries(idle_s=0)) == []


def test_nothing_is_lost_and_late_acknowledgements_do_not_count_when_members_come_and_go(
    fresh: KafkaBus,
) -> None:
    total = 10 * PARTITIONS
    for number in range(total):
        fresh.deliver(number, partition=number % PARTITIONS)
    first = fresh.subscription()
    iterator = first.deliveries(idle_s=DEADLINE_S)
    held = [next(iterator) for _ in range(total)]
    with fresh.subscription() as second:
        moved = taken_over(second, beside=first)
        late = {d.event_id for d in held if not d.acknowledge()}
        assert moved <= late  # what moved was not acknowledged, and no longer can be by `first`
        first.close()
        rest = {d.event_id for d in second.deliveries(idle_s=0) if d.acknowledge()}
    kept = {delivery.event_id for delivery in held} - late
    assert kept
    assert {int(id_, 16) for id_ in kept | moved | rest} == set(range(total))
    with fresh.subscription() as third:
        assert list(third.deliveries(idle_s=0)) == []


def taken_over(member: Subscription, *, beside: Subscription) -> set[str]:
    """The first deliveries of a new member, while the old one polls and so lets go of some."""
    taken = set[str]()

    def has_taken() -> bool:
        assert list(beside.deliveries(idle_s=0.2)) == []
        taken.update(d.event_id for d in member.deliveries(idle_s=0.2) if d.acknowledge())
        return bool(taken)

    wait_until(has_taken, what="the new member to get something")
    return taken


def test_gap_is_reported_once_accepted_when_retention_was_faster_than_the_reader(
    fresh: KafkaBus,
) -> None:
    for number in range(3):
        fresh.deliver(number)
    with fresh.subscription() as subscription:
        next(subscription.deliveries(idle_s=DEADLINE_S)).acknowledge()
    admin = fresh.stack.admin()
    for future in admin.delete_records([TopicPartition(fresh.topic, 0, 2)]).values():
        future.result(DEADLINE_S)
    with fresh.subscription() as subscription, pytest.raises(DeliveriesExpired):
        list(subscription.deliveries(idle_s=DEADLINE_S))
    connection = fresh.connection(fresh.recipient)
    with Subscription.connect(fresh.recipient, connection, accept_gap=True) as subscription:
        numbers = [int(d.event_id, 16) for d in subscription.deliveries(idle_s=0)]
    assert numbers == [2]


def test_registry_says_no_or_nothing_when_asked_for_what_it_lacks(bus: KafkaBus) -> None:
    registry = Registry(bus.stack.registry_url)
    with pytest.raises(NotRegistered):
        registry.get_document(1_999_999_999)
    with pytest.raises(NotRegistered):
        registry.get_id("src.nobody.civil-status.v1", BirthRegistered.contract.document)
    known = registry.get_document(bus.delivered_id)
    assert known == delivered_schema()
    with pytest.raises(Unavailable, match="something else answers"):
        Registry(f"{bus.stack.registry_url}/nowhere").get_document(1)
    with pytest.raises(Unavailable):
        Registry("http://127.0.0.1:9", timeout_s=0.5).get_document(1)


def test_id_is_found_when_the_contract_was_registered_with_other_white_space(
    bus: KafkaBus,
) -> None:
    topic = f"src.{bus.publisher_agency}.health.v1"
    document = VaccinationRecorded.contract.document
    with SchemaRegistryClient({"url": bus.stack.registry_url}) as client:
        registered = client.register_schema(
            subject_name(topic, document),
            Schema(json.dumps(document, indent=2, sort_keys=True), "AVRO"),
        )
    assert Registry(bus.stack.registry_url).get_id(topic, document) == registered
