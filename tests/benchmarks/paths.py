"""One measured path as a process of its own, so that nothing else is on its clocks.

`python -m tests.benchmarks.paths enforcement --settings FILE --events N` is the product's worker;
`... copy ... --access FILE --source TOPIC --to TOPIC ...` is the bare loop it is held against: the
same consumer, producer, batch and transaction, and nothing between. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from civicbus_consumers.enforcement.app import build_worker
from civicbus_consumers.enforcement.settings import EnforcementSettings
from civicbus_consumers.runtime.health import Health
from civicbus_consumers.runtime.settings import configure_logs
from civicbus_deploy.provisioning.kafka import AdminAccess
from civicbus_producers.kafka import BrokerAccess, consumer_config, producer_config
from civicbus_schemas import telemetry
from civicbus_schemas.topics import GROUPS, PARTITIONS
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from prometheus_client import REGISTRY

from tests.benchmarks.clocks import Clocks

BATCH, WAIT_S, CALL_S = 1000, 0.1, 30.0
COPY = "bench-copy"


class UntilReleased(threading.Event):
    """Asks the worker to stop once so many events are released, and reads the clocks then."""

    def __init__(self, events: int) -> None:
        super().__init__()
        self._events = events
        self.reached: Clocks | None = None

    def is_set(self) -> bool:
        """Asked by the worker after every batch."""
        if (REGISTRY.get_sample_value(telemetry.EVENTS_TOTAL) or 0) < self._events:
            return False
        self.reached = self.reached or Clocks.now()
        return True


def enforce(settings: EnforcementSettings, *, events: int) -> dict[str, float]:
    """The product's own worker, until it has released so many events."""
    worker = build_worker(settings, health=Health())
    gc.collect()
    gc.freeze()
    until = UntilReleased(events)
    begun = Clocks.now()  # sources were assigned a moment ago; nothing has been taken
    worker.run(until)
    assert until.reached is not None
    return until.reached.since(begun, events=events)


def copy(
    access: BrokerAccess, *, source: str, targets: Sequence[str], events: int
) -> dict[str, float]:
    """The bare loop: every message, untouched, to every target, in transactions of a batch."""
    consumer = Consumer(consumer_config(access, client_id=COPY, group=COPY))
    producer = Producer(producer_config(access, client_id=COPY, transactional_id=COPY))
    producer.init_transactions(60)
    places = [TopicPartition(source, p) for p in range(0, PARTITIONS, GROUPS)]
    committed = consumer.committed(places, timeout=CALL_S)
    gc.collect()
    gc.freeze()
    begun, copied = Clocks.now(), 0
    consumer.assign([TopicPartition(source, c.partition, max(c.offset, 0)) for c in committed])
    while copied < events:
        messages = _take(consumer)
        producer.begin_transaction()
        for message in messages:
            for target in targets:
                _produce(producer, target, message)
        following = {(m.partition() or 0): (m.offset() or 0) + 1 for m in messages}
        producer.flush(CALL_S)
        producer.send_offsets_to_transaction(
            [TopicPartition(source, p, offset) for p, offset in following.items()],
            consumer.consumer_group_metadata(),
            CALL_S,
        )
        producer.commit_transaction(CALL_S)
        copied += len(messages)
    return Clocks.now().since(begun, events=copied)


def _take(consumer: Consumer) -> list[Message]:
    taken: list[Message] = []
    while not taken:
        deadline = time.monotonic() + WAIT_S
        while len(taken) < BATCH and (left := deadline - time.monotonic()) > 0:
            messages = consumer.consume(BATCH - len(taken), timeout=min(left, 0.02))
            taken += messages
            if taken and not messages:
                break
    assert not any(message.error() for message in taken)
    return taken


def _produce(producer: Producer, target: str, message: Message) -> None:
    while True:
        try:
            producer.produce(
                target,
                value=message.value(),
                key=message.key(),
                partition=message.partition() or 0,
                headers=message.headers(),
            )
        except BufferError:
            producer.poll(0.05)
        else:
            return


def main() -> None:
    """Run one path and print its round."""
    parser = argparse.ArgumentParser(description=__doc__)
    paths = parser.add_subparsers(dest="path", required=True)
    enforcing = paths.add_parser("enforcement")
    enforcing.add_argument("--settings", type=Path, required=True)
    copying = paths.add_parser("copy")
    copying.add_argument("--bootstrap", required=True)
    copying.add_argument("--password-file", type=Path, required=True)
    copying.add_argument("--source", required=True)
    copying.add_argument("--to", nargs="+", required=True)
    for path in (enforcing, copying):
        path.add_argument("--events", type=int, required=True)
    options = parser.parse_args()
    configure_logs()
    if options.path == "enforcement":
        settings = EnforcementSettings.read(options.settings)
        measured = enforce(settings, events=options.events)
    else:
        access = AdminAccess(
            bootstrap=options.bootstrap, username="admin", password_file=options.password_file
        )
        measured = copy(access, source=options.source, targets=options.to, events=options.events)
    measured["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
