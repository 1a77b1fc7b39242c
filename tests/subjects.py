"""Which of the synthetic people of `tests.lives` belong to which group of partitions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from civicbus_consumers.runtime.partitioning import partition_of
from civicbus_producers.settings import read_key
from civicbus_schemas.ids import Pin
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.topics import GROUPS

from tests.bus import Bus
from tests.lives import child_pin


def topic_key(bus: Bus, pin: Pin) -> bytes:
    """The key of a person's events on source topics."""
    return topic_pseudonym(read_key(bus.stack.folder.secrets / "topic-key"), pin).encode()


def group_of(bus: Bus, pin: Pin) -> int:
    """The group that holds a person's partition."""
    return partition_of(topic_key(bus, pin)) % GROUPS


def numbers_in(bus: Bus, group: int, *, start: int) -> Iterator[int]:
    """The numbers of children of one group, from `start` on."""
    return (n for n in count(start) if group_of(bus, child_pin(n)) == group)


def numbers_of_partition(bus: Bus, partition: int, *, start: int) -> Iterator[int]:
    """The numbers of children whose events lie in one partition, from `start` on."""
    return (n for n in count(start) if partition_of(topic_key(bus, child_pin(n))) == partition)
