"""librdkafka as we configure it, and its errors as ours."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import pytest
from civicbus_producers.kafka import (
    ConnectionErrors,
    client_config,
    consumer_config,
    kafka_errors_translated,
    producer_config,
    translate,
)
from civicbus_producers.settings import InvalidSettings
from civicbus_schemas.errors import (
    BusError,
    Fatal,
    Fenced,
    Forbidden,
    Overdue,
    Refused,
    TooLarge,
    Unavailable,
)
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient


@dataclass
class Access:
    password_file: Path
    bootstrap: str = "127.0.0.1:1"
    security_protocol: str = "SASL_PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"
    username: str = "moj"


@pytest.fixture
def access(tmp_path: Path) -> Access:
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text("secret\n")
    return Access(path)


def test_librdkafka_takes_every_configuration_when_clients_are_made(access: Access) -> None:
    AdminClient(client_config(access, client_id="a"))
    Producer(producer_config(access, client_id="p"))
    Producer(producer_config(access, client_id="t", transactional_id="enforce-0"))
    Consumer(consumer_config(access, client_id="c", group="moj.main")).close()


def test_keys_hash_as_javas_and_nothing_is_lost_when_a_producer_is_configured(
    access: Access,
) -> None:
    config = producer_config(access, client_id="p")
    assert config["partitioner"] == "murmur2_random"
    assert config["acks"] == "all"
    assert config["enable.idempotence"] is True


def test_idle_connections_close_and_time_outs_fit_when_transactional(access: Access) -> None:
    config = producer_config(
        access, client_id="t", transactional_id="enforce-0", transaction_timeout_s=12
    )
    assert config["connections.max.idle.ms"] == 5_000
    assert config["delivery.timeout.ms"] <= config["transaction.timeout.ms"] == 12_000


def test_only_committed_data_is_read_when_a_consumer_is_configured(access: Access) -> None:
    config = consumer_config(access, client_id="c", group="g")
    assert config["isolation.level"] == "read_committed"
    assert config["enable.auto.commit"] is False
    assert config["auto.offset.reset"] == "error"


def test_configuration_is_refused_when_data_would_travel_in_the_clear(access: Access) -> None:
    access.bootstrap = "10.0.0.7:9092"
    with pytest.raises(InvalidSettings, match="in the clear"):
        client_config(access, client_id="a")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError._TRANSPORT, Unavailable),
        (KafkaError._ALL_BROKERS_DOWN, Unavailable),
        (KafkaError.NOT_ENOUGH_REPLICAS, Unavailable),
        (KafkaError._MSG_TIMED_OUT, Overdue),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Forbidden),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, Forbidden),
        (KafkaError._AUTHENTICATION, Forbidden),
        (KafkaError.MSG_SIZE_TOO_LARGE, TooLarge),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Refused),
        (KafkaError.PRODUCER_FENCED, Fenced),
        (KafkaError._FENCED, Fenced),
        (KafkaError._INCONSISTENT, Fatal),
    ],
)
def test_error_has_its_class_when_translated(code: int, expected: type[BusError]) -> None:
    ours = translate(KafkaError(code), doing="publishing")
    assert type(ours) is expected
    assert KafkaError(code).name() in str(ours)


def test_error_is_fatal_when_the_client_or_the_transaction_is_broken() -> None:
    transport = KafkaError._TRANSPORT
    assert type(translate(KafkaError(transport, fatal=True), doing="x")) is Fatal
    broken = KafkaError(transport, txn_requires_abort=True)
    assert type(translate(broken, doing="x")) is Fatal


def test_text_of_librdkafka_is_left_out_when_an_error_is_translated() -> None:
    with pytest.raises(Unavailable) as error, kafka_errors_translated("publishing"):
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, "key 001324012345"))
    assert "001324012345" not in str(error.value)
    assert error.value.__cause__ is None


def test_full_queue_is_unavailable_when_translated() -> None:
    with pytest.raises(Unavailable, match="full queue"), kafka_errors_translated("publishing"):
        raise BufferError


def test_refused_login_explains_a_time_out_when_connections_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    errors = ConnectionErrors("moj-publisher")
    overdue = Overdue("Kafka: connecting failed")
    assert errors.explain(overdue) is overdue
    with caplog.at_level(logging.WARNING, logger="civicbus.kafka"):
        errors(KafkaError(KafkaError._AUTHENTICATION, "user moj, password secret"))
        errors(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert isinstance(errors.explain(overdue), Forbidden)
    assert "_AUTHENTICATION" in caplog.text
    assert "secret" not in caplog.text
