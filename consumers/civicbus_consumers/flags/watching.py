"""Files and ends that are looked at again and again: the reference, and the end of the topic."""

from __future__ import annotations

from pathlib import Path

from civicbus_producers.kafka import BrokerAccess, consumer_config, kafka_errors_translated
from civicbus_schemas.errors import Stopped
from civicbus_schemas.topics import AUDIT_PAGE, FLAGS
from confluent_kafka import Consumer, TopicPartition

from civicbus_consumers.flags.reference import NOTHING_KNOWN, Reference, read_reference

_TIMEOUT_S = 5.0


class ReferenceFile:
    """The reference in a file, read anew when the file changes.

    Without a file nobody is known to be watched, so that there must be one; `{}` knows nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._reference = NOTHING_KNOWN

    def __call__(self) -> Reference:
        """The present one; raises `Stopped` where there is none, `Refused` where it is no such."""
        try:
            stat = self._path.stat()
        except OSError as error:
            raise Stopped(
                f"{self._path} cannot be read",
                got=type(error).__name__,
                expected="the reference of flags; {} where nothing is known",
                next_step="put it back; until then no flag is judged",
            ) from None
        seen = stat.st_mtime_ns, stat.st_size
        if seen != self._seen:
            self._reference = read_reference(self._read())
            self._seen = seen
        return self._reference

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError as error:
            raise Stopped(f"{self._path} cannot be read", got=type(error).__name__) from None


class TopicEnd:
    """The end of the page topic, asked for each time."""

    def __init__(self, access: BrokerAccess, *, client_id: str) -> None:
        self._consumer = Consumer(consumer_config(access, client_id=client_id, group=FLAGS))

    def __call__(self) -> int:
        """The offset that the next page will have; raises `Unavailable`."""
        place = TopicPartition(AUDIT_PAGE, 0)
        with kafka_errors_translated("asking for the end of the pages"):
            _, end = self._consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S)
        return int(end)

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()
