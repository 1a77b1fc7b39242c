"""The one place that configures librdkafka and turns its errors into ours.

It decides how every client of the bus behaves: who it is, how it hashes keys, how long it tries.
It never logs or raises anything of a message: no key, no value, no header, no secret.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

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
from confluent_kafka import KafkaError, KafkaException

from civicbus_producers.settings import read_secret, require_private_path

log = logging.getLogger("civicbus.kafka")

ClientConfig = dict[str, Any]
_FLUSH_SLICE_S: Final = 0.1
GRACE_S: Final = 2.0
"""How much longer a future is waited for than librdkafka's own time-out, which comes first."""


class BrokerAccess(Protocol):
    """What a client needs to reach the broker; an agency's or a process's settings have it."""

    @property
    def bootstrap(self) -> str: ...
    @property
    def security_protocol(self) -> str: ...
    @property
    def sasl_mechanism(self) -> str: ...
    @property
    def username(self) -> str: ...
    @property
    def password_file(self) -> Path: ...


class ConnectionErrors:
    """librdkafka's `error_cb`: logs what happens to connections, and remembers the last error.

    Failures of connections reach only this callback, so that a caller who sees a time-out asks
    here for its reason.
    """

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.last: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        if self.last is None or self.last.code() not in _REFUSED_LOGIN:
            self.last = error
        log.warning("%s: %s", self.client_id, error.name())

    def explain(self, error: BusError) -> BusError:
        """The error, or the refused login that stands behind a time-out."""
        if not isinstance(error, Unavailable | Overdue):
            return error
        if self.last is None or self.last.code() not in _REFUSED_LOGIN:
            return error
        return translate(self.last, doing=f"connecting as {self.client_id}")


def client_config(
    access: BrokerAccess, *, client_id: str, errors: ConnectionErrors | None = None
) -> ClientConfig:
    """What every client has: address, login, name, and where its complaints go."""
    require_private_path(access.bootstrap, security_protocol=access.security_protocol)
    return {
        "bootstrap.servers": access.bootstrap,
        "security.protocol": access.security_protocol,
        "sasl.mechanism": access.sasl_mechanism,
        "sasl.username": access.username,
        "sasl.password": read_secret(access.password_file),
        "client.id": client_id,
        "error_cb": errors or ConnectionErrors(client_id),
        "logger": log,
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 2_000,
    }


def producer_config(
    access: BrokerAccess,
    *,
    client_id: str,
    errors: ConnectionErrors | None = None,
    delivery_timeout_s: float = 30,
    max_message_bytes: int = 1_000_000,
    transactional_id: str | None = None,
    transaction_timeout_s: float = 15,
) -> ClientConfig:
    """An idempotent producer that waits for all replicas and hashes keys as Java and aiokafka do.

    With a `transactional_id` idle connections close after 5 s: librdkafka 2.16 may hang in
    `send_offsets_to_transaction` on a coordinator that died (its issue 5511).
    """
    config = client_config(access, client_id=client_id, errors=errors) | {
        "acks": "all",
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "linger.ms": 5,
        "delivery.timeout.ms": int(delivery_timeout_s * 1000),
        "message.max.bytes": max_message_bytes,
    }
    if transactional_id is None:
        return config
    timeout_ms = int(transaction_timeout_s * 1000)
    return config | {
        "transactional.id": transactional_id,
        "transaction.timeout.ms": timeout_ms,
        "delivery.timeout.ms": min(timeout_ms, config["delivery.timeout.ms"]),
        "connections.max.idle.ms": 5_000,
    }


def consumer_config(
    access: BrokerAccess,
    *,
    client_id: str,
    group: str,
    errors: ConnectionErrors | None = None,
    auto_offset_reset: str = "error",
) -> ClientConfig:
    """A consumer that sees only committed data and commits nothing by itself.

    A missing or out-of-range offset is an error unless the caller says otherwise.
    """
    return client_config(access, client_id=client_id, errors=errors) | {
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": auto_offset_reset,
        "queued.max.messages.kbytes": 16_384,
        "fetch.wait.max.ms": 100,
        "allow.auto.create.topics": False,
    }


_REFUSED_LOGIN: Final = frozenset(
    {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError._SSL}
)
_FORBIDDEN: Final = _REFUSED_LOGIN | {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
_FENCED: Final = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.FENCED_INSTANCE_ID,
    }
)
_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
_UNKNOWN_PLACE: Final = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._INVALID_ARG,
        KafkaError.INVALID_CONFIG,
    }
)
_OVERDUE: Final = frozenset(
    {KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT, KafkaError.REQUEST_TIMED_OUT}
)
_UNAVAILABLE: Final = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._QUEUE_FULL,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._PURGE_QUEUE,
        KafkaError._PURGE_INFLIGHT,
        KafkaError._WAIT_COORD,
        KafkaError._NOENT,  # list_offsets of a broker that has gone away
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.REBALANCE_IN_PROGRESS,
    }
)


def translate(error: KafkaError, *, doing: str) -> BusError:
    """Our error for librdkafka's. What is unknown is fatal: nobody has thought about it yet."""
    code, name = error.code(), error.name()
    what = f"Kafka: {doing} failed"
    if code in _FENCED:
        return Fenced(what, got=name, next_step="end this process; its successor has taken over")
    if error.fatal() or error.txn_requires_abort():
        return Fatal(what, got=name, next_step="destroy this client and begin anew")
    if code in _FORBIDDEN:
        return Forbidden(what, got=name, next_step="check login and grants of this principal")
    if code in _TOO_LARGE:
        return TooLarge(what, got=name)
    if code in _UNKNOWN_PLACE:
        return Refused(what, got=name, next_step="check the name; provisioning makes all topics")
    if code in _OVERDUE:
        return Overdue(what, got=name, next_step="try again; it may have happened meanwhile")
    if code in _UNAVAILABLE or error.retriable():
        return Unavailable(what, got=name, next_step="try again when the broker answers")
    return Fatal(what, got=name, next_step="end this process and ask an operator")


@contextmanager
def kafka_errors_translated(
    doing: str, *, errors: ConnectionErrors | None = None
) -> Iterator[None]:
    """Raise our errors where librdkafka raises its own: the one edge for all calls to it.

    A future of an admin client that is not settled in time is `Overdue`, too.
    """
    try:
        yield
    except KafkaException as exception:
        cause = exception.args[0] if exception.args else None
        if not isinstance(cause, KafkaError):
            raise Fatal(f"Kafka: {doing} failed", got=type(exception).__name__) from None
        ours = translate(cause, doing=doing)
        raise (errors.explain(ours) if errors else ours) from None
    except BufferError:
        raise Unavailable(f"Kafka: {doing} failed", got="a full queue") from None
    except TimeoutError:
        raise Overdue(f"Kafka: {doing} took too long", got="no answer of the client") from None


class FlushedProducer(Protocol):
    """A producer that can wait for its messages."""

    def flush(self, timeout: float = -1) -> int: ...


def flush(producer: FlushedProducer, timeout_s: float) -> int:
    """Wait until everything produced is answered; how many messages are not, after the timeout.

    Raises a fatal error of librdkafka as the `KafkaException` that it is. The binding forgets that
    in one long flush: it goes on after 200 ms with the exception set, and what it calls next ends
    in a `SystemError` (confluent-kafka 2.16; its `error_cb` tells of a fenced producer so).
    """
    deadline = time.monotonic() + timeout_s
    while True:
        remaining = max(deadline - time.monotonic(), 0)
        left = producer.flush(min(remaining, _FLUSH_SLICE_S))
        if not left or not remaining:
            return left


class ReachableClient(Protocol):
    """A producer or consumer of librdkafka."""

    def list_topics(self, topic: str | None = None, timeout: float = -1) -> Any: ...
    def poll(self, timeout: float = -1) -> Any: ...


def reach_broker(client: ReachableClient, *, errors: ConnectionErrors, timeout_s: float) -> None:
    """Return once a broker has accepted the login of a client that has no work yet.

    Raises `Forbidden` as soon as the login is refused, `Unavailable` or `Overdue` after the
    timeout.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        remaining = deadline - time.monotonic()
        try:
            with kafka_errors_translated(f"connecting as {errors.client_id}", errors=errors):
                client.list_topics(timeout=max(min(remaining, 0.5), 0.05))
            return
        except (Unavailable, Overdue) as error:
            client.poll(0)
            explained = errors.explain(error)
            if explained is not error or remaining <= 0:
                raise explained from None
