"""A Faust transport that reads only committed data and commits only what the view holds.

Faust's own at-least-once driver reads uncommitted data, and acknowledges messages that it skipped
in a rebalance. Both would break the view. Its URL scheme is `kafka-committed`, registered as an
entry point of `faust.transports`; it serves apps that have `applied`, a mapping from (topic,
partition) to the next offset of the view.
"""

from __future__ import annotations

from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

SCHEME = "kafka-committed"


class _CommittedThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # read by aiokafka when it starts
        return consumer


class _CommittedConsumer(driver.Consumer):  # type: ignore[misc]
    def _new_consumer_thread(self) -> Any:
        return _CommittedThread(self, loop=self.loop, beacon=self.beacon)

    def _new_offset(self, tp: TP) -> int | None:
        """What may be committed: the view's own position, whatever was acknowledged.

        Acknowledgements only say that there may be something new. Faust's reckoning is put aside;
        it also stands still for ever where markers of transactions follow the offset 0.
        """
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        self._gap[tp].clear()
        applied: int | None = self.app.applied.get((tp.topic, tp.partition))
        return applied


class Transport(driver.Transport):  # type: ignore[misc]
    """Kafka, read committed."""

    Consumer = _CommittedConsumer
