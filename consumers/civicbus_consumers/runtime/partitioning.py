"""Where a key lies: all that is about one person has one partition number on every topic."""

from __future__ import annotations

from aiokafka.partitioner import murmur2
from civicbus_schemas.topics import PARTITIONS


def partition_of(key: bytes) -> int:
    """The partition of a key: Kafka's default partitioner, as all our producers use it."""
    return int((murmur2(key) & 0x7FFFFFFF) % PARTITIONS)
