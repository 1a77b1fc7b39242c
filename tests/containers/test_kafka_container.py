"""Both SDKs over a Kafka that is not the embedded one, with SCRAM logins as everywhere."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from testcontainers.community.kafka import KafkaContainer

from tests.contract.sdk_buses import KafkaBus
from tests.contract.sdk_samples import CHILD_PIN, a_birth
from tests.stack import Stack

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("daemon")]

ADMIN = "admin"
_LISTENER = "LISTENER_NAME_CLIENT"
_SCRAM = "scram.ScramLoginModule required;"
_TIMEOUT_S = 60


class ContainerBroker:
    """What `KafkaBus` needs of a stack: the broker from a container, the registry from ours.

    Users are made from inside, on the container's own listener. There is no authorizer: grants are
    proved on the embedded broker.
    """

    def __init__(self, container: KafkaContainer, registry_url: str, folder: Path) -> None:
        self.container, self.registry_url, self.folder = container, registry_url, folder
        self.bootstrap = container.get_bootstrap_server().replace("localhost", "127.0.0.1")
        self.create_user(ADMIN)

    def create_user(self, name: str) -> Path:
        """A SCRAM user; the file with its password."""
        path = self.folder / f"kafka-{name}"
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(16))
        setting = f"SCRAM-SHA-512=[password={path.read_text()}]"
        done = self.container.exec(
            ["kafka-configs", "--bootstrap-server", "localhost:9092", "--alter",
             "--entity-type", "users", "--entity-name", name, "--add-config", setting]
        )  # fmt: skip
        assert done.exit_code == 0, "the user could not be made"
        return path

    def client_config(self) -> dict[str, Any]:
        """librdkafka's settings as the admin."""
        return {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": ADMIN,
            "sasl.password": (self.folder / f"kafka-{ADMIN}").read_text(),
        }

    def create_topics(self, *names: str, partitions: int) -> None:
        """Create topics and wait for them."""
        admin = AdminClient(self.client_config())
        topics = [NewTopic(name, num_partitions=partitions, replication_factor=1) for name in names]
        for future in admin.create_topics(topics).values():
            future.result(_TIMEOUT_S)

    def grant(self, *_: Any, **__: Any) -> None:
        """Nothing: everybody who can log in may do everything here."""


@pytest.fixture
def broker(make_stack: Callable[..., Stack], tmp_path: Path) -> Iterator[ContainerBroker]:
    """A Kafka container whose outer listener asks for SCRAM, and a registry beside it."""
    kafka = KafkaContainer(
        "confluentinc/cp-kafka:8.0.0", listener_name="CLIENT", security_protocol="SASL_PLAINTEXT"
    ).with_kraft()
    kafka.with_env(f"KAFKA_{_LISTENER}_SASL_ENABLED_MECHANISMS", "SCRAM-SHA-512")
    jaas = f"org.apache.kafka.common.security.{_SCRAM}"
    kafka.with_env(f"KAFKA_{_LISTENER}_SCRAM___SHA___512_SASL_JAAS_CONFIG", jaas)
    with kafka:
        yield ContainerBroker(kafka, make_stack("postgres", "registry").registry_url, tmp_path)


def test_event_is_published_and_delivery_received_when_the_broker_is_a_container(
    broker: ContainerBroker, tmp_path: Path
) -> None:
    bus: Any = KafkaBus(broker, tmp_path)  # type: ignore[arg-type]
    with bus.publisher() as publisher:
        published = publisher.publish(a_birth(), subject=CHILD_PIN).wait(timeout_s=_TIMEOUT_S)
    assert (published.topic, published.offset) == (bus.source, 0)
    bus.deliver(1)
    with bus.subscription() as subscription:
        delivery = next(iter(subscription.deliveries(idle_s=_TIMEOUT_S)))
        assert delivery.event.child.pin == CHILD_PIN.number
        assert delivery.acknowledge()
