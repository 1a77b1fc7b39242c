"""A fatal error of librdkafka reaches its caller as what it is; the brokers are its own mocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from civicbus_consumers.recording.fuse import Unwatched
from civicbus_consumers.recording.recorder import KafkaPageLog
from civicbus_consumers.runtime.transactions import Transactions
from civicbus_consumers.runtime.watchdog import Watchdog
from civicbus_producers.kafka import ConnectionErrors, log
from civicbus_producers.outgoing import Composer
from civicbus_producers.publisher import Publisher
from civicbus_producers.receipt import NotAcknowledged
from civicbus_producers.testing import UNSAFE_TOPIC_KEY, UnsafeMemoryLog
from civicbus_schemas.errors import Fatal, Fenced
from civicbus_schemas.ids import agency_id
from confluent_kafka import Consumer, KafkaError, Producer

from tests.contract.sdk_samples import CHILD_PIN, a_birth
from tests.mock_brokers import INIT_PRODUCER_ID, PRODUCE, MockBrokers, mock_brokers

TOPIC, PARTITIONS = "out.moh.civil-status.v1", 4
SOON_MS = 50  # most likely, all is sent by then
LATER_MS = 500  # more than the 200 ms after which the binding goes round in a long call


@pytest.fixture
def brokers() -> Iterator[MockBrokers]:
    with mock_brokers() as brokers_:
        yield brokers_


def producer(brokers: MockBrokers, **config: Any) -> Producer:
    """One whose callbacks are those of our processes: they log."""
    ours = {"error_cb": ConnectionErrors("test"), "logger": log, "enable.idempotence": True}
    return Producer({"bootstrap.servers": brokers.bootstrap, "linger.ms": 0} | ours | config)


@pytest.fixture
def fenced(brokers: MockBrokers) -> Iterator[Transactions]:
    """A worker within a transaction: one broker tells it now that it is fenced, others later."""
    consumer = Consumer({"bootstrap.servers": brokers.bootstrap, "group.id": "test"})
    config = {"transactional.id": "enforce-0", "queue.buffering.max.messages": 2 * PARTITIONS}
    transactions = Transactions(producer(brokers, **config), consumer, watchdog=Watchdog())
    transactions.fence_predecessor()
    transactions.begin()
    for partition in range(PARTITIONS):
        transactions.send(TOPIC, b"before", partition=partition)
    transactions.flush()
    brokers.answer(PRODUCE, KafkaError.INVALID_PRODUCER_EPOCH)
    brokers.delay(1, SOON_MS)
    brokers.delay(2, LATER_MS)
    brokers.delay(3, LATER_MS)
    yield transactions
    consumer.close()


def test_worker_hears_that_it_is_fenced_when_brokers_say_so_one_after_the_other(
    fenced: Transactions,
) -> None:
    def send_and_flush() -> None:
        for partition in range(PARTITIONS):
            fenced.send(TOPIC, b"after", partition=partition)
        fenced.flush()

    with pytest.raises(Fenced):
        send_and_flush()


def test_worker_hears_that_it_is_fenced_when_it_waits_for_room(fenced: Transactions) -> None:
    def fill() -> None:
        for number in range(100 * PARTITIONS):
            fenced.send(TOPIC, b"after", partition=number % PARTITIONS)

    with pytest.raises(Fenced):
        fill()


def test_page_is_not_taken_as_recorded_when_the_producer_may_not_write(
    brokers: MockBrokers,
) -> None:
    brokers.answer(INIT_PRODUCER_ID, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
    pages = KafkaPageLog(producer(brokers), schema_id=1, fuse=Unwatched())
    with pytest.raises(Fatal, match="CLUSTER_AUTHORIZATION_FAILED"):
        pages.append(b"page")


def test_agency_hears_which_events_are_not_stored_when_its_producer_has_failed(
    brokers: MockBrokers,
) -> None:
    for broker in (1, 2, 3):
        brokers.delay(broker, LATER_MS)
    brokers.answer(INIT_PRODUCER_ID, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
    composer = Composer(
        agency_id("moj"),
        families=["civil-status"],
        topic_key=UNSAFE_TOPIC_KEY,
        schema_ids=UnsafeMemoryLog().registry,
    )
    publisher = Publisher(producer=producer(brokers), composer=composer)
    receipts = [publisher.publish(a_birth(), subject=CHILD_PIN) for _ in range(PARTITIONS)]
    with pytest.raises(NotAcknowledged) as error:
        publisher.flush(timeout_s=30)
    assert set(error.value.event_ids) == {receipt.event_id for receipt in receipts}
    assert isinstance(error.value.__cause__, Fatal)
    with pytest.raises(NotAcknowledged):
        publisher.close()
    assert [receipt.failure is not None for receipt in receipts] == [True] * PARTITIONS
