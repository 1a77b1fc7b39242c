"""Receiving when partitions move, commits fail, or servers do not answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from civicbus_consumers.reading import DeliveryReader
from civicbus_consumers.subscription import DeliveriesExpired, Subscription
from civicbus_consumers.testing import UnsafeMemoryConsumer, UnsafeMemorySubscription, deliver
from civicbus_producers.settings import Connection
from civicbus_producers.testing import UnsafeMemoryLog
from civicbus_schemas.errors import Forbidden, Refused, Stopped, Unavailable
from civicbus_schemas.ids import agency_id
from confluent_kafka import KafkaError, Message

from tests.contract.sdk_samples import (
    SUBJECT,
    delivered_datum,
    delivered_schema,
    delivery_envelope,
)
from tests.fakes.subscription import fake_subscription

TOPIC = "dlv.vss.civil-status.v1"


@pytest.fixture
def log() -> UnsafeMemoryLog:
    log = UnsafeMemoryLog()
    for number in range(3):
        deliver(
            log,
            TOPIC,
            schema=delivered_schema(),
            datum=delivered_datum(),
            envelope=delivery_envelope(number),
            subject=SUBJECT,
        )
    return log


def numbers(subscription: Subscription) -> list[int]:
    return [int(d.event_id, 16) for d in subscription.deliveries(idle_s=0)]


def test_nothing_is_idle_before_its_ends_are_read_when_the_broker_gives_late(
    log: UnsafeMemoryLog,
) -> None:
    subscription = fake_subscription(log=log)
    subscription.consumer.withheld_polls = 3
    assert numbers(subscription) == [0, 1, 2]


def test_nothing_is_delivered_from_anywhere_when_the_groups_positions_are_unknown(
    log: UnsafeMemoryLog,
) -> None:
    subscription = fake_subscription(log=log)
    subscription.consumer.positions_unknown = True
    for _ in range(2):  # librdkafka has assigned the partitions meanwhile
        with pytest.raises(Stopped, match="connect again"):
            numbers(subscription)
        subscription.consumer.restore()
        subscription.consumer.positions_unknown = False


def test_late_acknowledgement_does_not_count_when_the_partition_has_moved(
    log: UnsafeMemoryLog,
) -> None:
    subscription = fake_subscription(log=log)
    first, second, third = subscription.deliveries(idle_s=0)
    assert first.acknowledge()
    subscription.consumer.revoke()
    assert not second.acknowledge()
    subscription.consumer.restore()
    assert numbers(subscription) == [1, 2]
    assert not third.acknowledge()  # it belongs to the former assignment
    subscription.close()
    assert log.positions["vss.main", TOPIC, 0] == 1


@pytest.mark.parametrize("persisted", [False, True])
def test_close_raises_and_nothing_is_lost_when_the_last_commit_fails(
    log: UnsafeMemoryLog, persisted: bool
) -> None:
    subscription = fake_subscription(log=log)
    subscription.consumer.fails_but_persisted = persisted
    subscription.consumer.fails_and_did_not_persist = not persisted
    for delivery in subscription.deliveries(idle_s=0):
        delivery.acknowledge()
    with pytest.raises(Unavailable, match="committing acknowledgements"):
        subscription.close()
    assert numbers(fake_subscription(log=log)) == ([] if persisted else [0, 1, 2])


def test_error_of_the_caller_is_kept_when_the_last_commit_fails_too(log: UnsafeMemoryLog) -> None:
    subscription = fake_subscription(log=log)
    subscription.consumer.fails_and_did_not_persist = True
    next(subscription.deliveries()).acknowledge()
    with pytest.raises(ZeroDivisionError) as error, subscription:
        raise ZeroDivisionError
    assert "committing" in error.value.__notes__[0]


def test_delivery_comes_again_when_the_registry_did_not_answer(log: UnsafeMemoryLog) -> None:
    class Flaky:
        answers = False

        def get_document(self, schema_id: int) -> Any:
            if not self.answers:
                raise Unavailable("the registry does not answer")
            return log.registry.get_document(schema_id)

    registry = Flaky()
    subscription = Subscription(
        consumer=UnsafeMemoryConsumer(log, group="vss.main"),
        reader=DeliveryReader(registry),
        topics=[TOPIC],
    )
    with pytest.raises(Unavailable):
        numbers(subscription)
    registry.answers = True
    assert numbers(subscription) == [0, 1, 2]


def with_error(code: int, **changes: Any) -> UnsafeMemorySubscription:
    """A subscription whose first poll brings this error."""
    subscription = fake_subscription(**changes)
    poll = subscription.consumer.poll
    errors = [Message(topic=TOPIC, partition=0, error=KafkaError(code))]
    subscription.consumer.poll = lambda timeout=-1: errors.pop() if errors else poll(timeout)
    return subscription


def test_gap_is_not_skipped_when_deliveries_have_expired_unread() -> None:
    with pytest.raises(DeliveriesExpired, match="accept_gap"):
        numbers(with_error(KafkaError._AUTO_OFFSET_RESET))


def test_iteration_raises_when_the_group_or_the_topic_is_forbidden() -> None:
    for code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED):
        with pytest.raises(Forbidden):
            numbers(with_error(code))


@pytest.mark.parametrize("code", [KafkaError._TRANSPORT, KafkaError._MAX_POLL_EXCEEDED])
def test_iteration_goes_on_when_an_error_passes_by_itself(log: UnsafeMemoryLog, code: int) -> None:
    assert numbers(with_error(code, log=log)) == [0, 1, 2]


def test_end_is_not_believed_when_the_broker_does_not_answer() -> None:
    subscription = fake_subscription()

    def silent(topic: str | None = None, timeout: float = -1) -> None:
        del topic, timeout
        raise Unavailable("no broker")

    subscription.consumer.list_topics = silent
    with pytest.raises(Unavailable):
        numbers(subscription)


def test_connecting_is_refused_when_name_or_agency_is_wrong(tmp_path: Path) -> None:
    connection = Connection(
        agency=agency_id("vss"),
        bootstrap="127.0.0.1:1",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        username="vss",
        password_file=tmp_path / "none",
        registry_url="http://127.0.0.1:1",
        group_prefix="vss.",
        delivery_topics=(TOPIC,),
    )
    with pytest.raises(Refused, match="group"):
        Subscription.connect("vss", connection, name="vss.main; DROP")
    with pytest.raises(Refused, match="another agency"):
        Subscription.connect("bank", connection)
