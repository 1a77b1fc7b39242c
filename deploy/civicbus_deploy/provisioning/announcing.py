"""The policy topic: reading what is in force, and announcing what shall be.

An announcement is recorded before it is sent, and its record is a leaf of the ledger: nobody can
bring a policy into force, or take one back, without a trace.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from civicbus_consumers.recording.recorder import Recorder
from civicbus_consumers.recording.records import record_policy_set
from civicbus_consumers.recording.signing import read_signing_key
from civicbus_producers.kafka import (
    BrokerAccess,
    ConnectionErrors,
    consumer_config,
    flush,
    kafka_errors_translated,
    producer_config,
    translate,
)
from civicbus_schemas.announcement import seal_announcement
from civicbus_schemas.errors import Overdue
from civicbus_schemas.ids import PolicyVersion
from civicbus_schemas.topics import STATE_POLICY
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from civicbus_deploy.embedded.state import write_file
from civicbus_deploy.provisioning.recorders import begin_recorder

POLICY_KEY = b"policy"
PROCESS = "provisioning"
"""The recorder's name in its pages; `sign-provisioning.pem` is its key."""

_TIMEOUT_S = 30.0
_REACHED_S = 10.0
"""How long a broker is asked that may not be running."""


class PolicyTopic:
    """`state.policy.v1`, with the administrator's rights; `secrets` is the folder of the keys.

    What is announced is kept in the folder `kept` too, so that decisions can be made again without
    a broker.
    """

    def __init__(
        self, access: BrokerAccess, *, secrets: Path, kept: Path, registry_url: str
    ) -> None:
        self._kept = kept
        self._access, self._secrets, self._registry_url = access, secrets, registry_url
        self._errors = ConnectionErrors(PROCESS)

    def read(self) -> bytes | None:
        """The newest announcement; None before the first, or without the topic."""
        newest = self._read(last=1)
        return newest[0] if newest else None

    def read_all(self) -> list[bytes]:
        """Every announcement, the oldest first: the topic is neither compacted nor expired."""
        return self._read(last=None)

    def _read(self, *, last: int | None) -> list[bytes]:
        with kafka_errors_translated("reading the policy", errors=self._errors):
            consumer = Consumer(consumer_config(self._access, client_id=PROCESS, group=PROCESS))
            try:
                if STATE_POLICY not in consumer.list_topics(timeout=_REACHED_S).topics:
                    return []
                partition = TopicPartition(STATE_POLICY, 0)
                low, high = consumer.get_watermark_offsets(partition, timeout=_TIMEOUT_S)
                start = low if last is None else max(low, high - last)
                consumer.assign([TopicPartition(STATE_POLICY, 0, start)])
                return [self._next(consumer) for _ in range(start, high)]
            finally:
                consumer.close()

    def _next(self, consumer: Consumer) -> bytes:
        message = consumer.poll(_TIMEOUT_S)
        if message is None:
            raise Overdue("an announced policy set could not be read")
        error = message.error()
        if error is not None:
            raise translate(error, doing="reading the policy")
        return message.value() or b""

    def announce(self, policy: bytes) -> int:
        """Bring a policy set's bytes into force; its offset.

        1. its record is durable, 2. it is announced, 3. the next page says so. Death after 1 leaves
        a record of a set that bound nobody; death after 2 one of a set that may have.
        """
        announcer, key = read_signing_key(self._secrets / "announcer.pem")
        announcement = seal_announcement(policy, key=key, sign=announcer.sign)
        version = PolicyVersion(hashlib.sha256(policy).hexdigest())
        recorder = self._recorder()
        page = recorder.open_page(datetime.now(UTC))
        stamp = page.stamp()
        record = record_policy_set(version, size_bytes=len(policy), stamp=stamp)
        page.add(record, stamp=stamp)
        written = recorder.write(page, policy=version, positions=())  # 1
        self._kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(self._kept / f"{version}.json", policy)
        offset = self._send(announcement)  # 2
        recorder.mark_released(written)
        recorder.write(recorder.open_page(datetime.now(UTC)), policy=version, positions=())  # 3
        return offset

    def _recorder(self) -> Recorder:
        """Each announcement is a recorder of its own: nothing is in flight between two."""
        return begin_recorder(
            PROCESS,
            self._access,
            secrets=self._secrets,
            registry_url=self._registry_url,
            errors=self._errors,
        )

    def _producer(self) -> Producer:
        config = producer_config(
            self._access, client_id=PROCESS, errors=self._errors, max_message_bytes=1_048_576
        )
        return Producer(config)

    def _send(self, announcement: bytes) -> int:
        outcomes: list[tuple[KafkaError | None, int | None]] = []
        with kafka_errors_translated("announcing the policy", errors=self._errors):
            producer = self._producer()
            producer.produce(
                STATE_POLICY,
                key=POLICY_KEY,
                value=announcement,
                on_delivery=lambda error, message: outcomes.append((error, message.offset())),
            )
            flush(producer, _TIMEOUT_S)
        if not outcomes:
            raise Overdue("the announcement of the policy was not acknowledged")
        [(error, offset)] = outcomes
        if error is not None or offset is None:
            raise translate(error, doing="announcing the policy") if error else Overdue("no offset")
        return offset
