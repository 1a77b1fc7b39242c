"""How far behind every reader of a topic is: in messages, and in seconds.

Seconds are the age of the oldest message that a group has not committed; a reader at the end is 0 s
behind, however long nothing was published. No value or key of a message is looked at.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from civicbus_producers.ends import Place, read_stable_ends
from civicbus_producers.positions import list_groups, read_committed
from confluent_kafka import (
    Consumer,
    KafkaError,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from civicbus_deploy.embedded import kafka, secrets
from civicbus_deploy.embedded.failures import ServerNotReady

_TIMEOUT_S = 10.0
_READ_S = 5.0
_AT_ONCE = 8
UNREAD = "(unread)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """One group on one topic. `recipient` is the agency of a delivery topic, else None."""

    topic: str
    group: str
    recipient: str | None
    messages: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """For `status --json`."""
        return asdict(self)


def measure(home: Path, port: int) -> tuple[Lag, ...]:
    """The lag of every group on every topic it has ever committed on.

    Delivery topics that nobody reads stand there too, under the group `UNREAD`. Raises
    `KafkaException` or `BusError`: a lag that is not known is not told.
    """
    admin = kafka.admin_client(home, port)
    places = _places(admin)
    committed = _committed(admin, home, port, places=places)
    committed[UNREAD] = _unread(places, committed)
    read = {place for places in committed.values() for place in places}
    ends = read_stable_ends(admin, read, timeout_s=_TIMEOUT_S)
    behind = {
        (group, place): offset
        for group, places in committed.items()
        for place, offset in places.items()
        if offset < ends[place]
    }
    times = _times(home, port, {(place, offset) for (_, place), offset in behind.items()})
    now = time.time()
    rows = [
        _lag_of(group, topic, places, ends=ends, times=times, now=now)
        for group, places in committed.items()
        for topic in sorted({topic for topic, _ in places})
    ]
    return tuple(sorted(rows, key=lambda row: (row.topic, row.group)))


def _lag_of(
    group: str,
    topic: str,
    places: Mapping[Place, int],
    *,
    ends: Mapping[Place, int],
    times: Mapping[tuple[Place, int], float],
    now: float,
) -> Lag:
    messages, oldest = 0, now
    for place, offset in places.items():
        # nothing readable there: only markers of transactions lie between offset and end
        if place[0] == topic and (place, offset) in times:
            messages += ends[place] - offset
            oldest = min(oldest, times[place, offset])
    return Lag(
        topic=topic,
        group=group,
        recipient=recipient_of(topic),
        messages=messages,
        seconds=round(now - oldest, 3),
    )


def recipient_of(topic: str) -> str | None:
    """The agency that a delivery topic belongs to."""
    parts = topic.split(".")
    return parts[1] if parts[0] == "dlv" and len(parts) > 2 else None


def _places(admin: AdminClient) -> list[Place]:
    """Every partition but Kafka's own."""
    topics = admin.list_topics(timeout=_TIMEOUT_S).topics
    return [
        (name, partition)
        for name, topic in topics.items()
        if not name.startswith("__")
        for partition in topic.partitions
    ]


def _unread(
    places: Iterable[Place], committed: Mapping[str, Mapping[Place, int]]
) -> dict[Place, int]:
    """The beginnings of delivery topics that no group of their recipient has ever read."""
    read = {topic for group in committed.values() for topic, _ in group}
    return {place: 0 for place in places if recipient_of(place[0]) and place[0] not in read}


def _committed(
    admin: AdminClient, home: Path, port: int, *, places: Iterable[Place]
) -> dict[str, dict[Place, int]]:
    """Group → place → committed offset."""
    groups = list_groups(admin, timeout_s=_TIMEOUT_S)
    asked = [TopicPartition(*place) for place in places]

    def ask(group: str) -> dict[Place, int]:
        with closing(_consumer(home, port, group)) as consumer:
            doing = f"reading the positions of {group}"
            found = read_committed(consumer, asked, timeout_s=_TIMEOUT_S, doing=doing)
            return {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(groups, pool.map(ask, groups), strict=True))


def _consumer(home: Path, port: int, group: str, **settings: Any) -> Consumer:
    """A client that joins no group and commits nothing.

    Positions are asked for through it, not through AdminClient, whose call for them crashes the
    process in librdkafka 2.16; uncommitted ones are not waited for.
    """
    password = secrets.read(home, "kafka-admin")
    config = kafka.client_config(port, username=kafka.ADMIN, password=password)
    quiet = {"log_level": 0, "error_cb": lambda _error: None, "enable.auto.commit": False}
    reading = {"isolation.level": "read_uncommitted", "auto.offset.reset": "earliest"}
    return Consumer({**config, **quiet, **reading, "group.id": group, **settings})


def _times(home: Path, port: int, wanted: set[tuple[Place, int]]) -> dict[tuple[Place, int], float]:
    """When the first readable message at or after each offset was written; none: left out."""
    found: dict[tuple[Place, int], float] = {}
    pending = sorted(wanted)
    while pending:  # one round per distinct offset of a partition, nearly always one in all
        now = dict(reversed(pending))
        found |= _first_times(home, port, now)
        pending = [(place, offset) for place, offset in pending if now[place] != offset]
    return found


def _first_times(
    home: Path, port: int, places: Mapping[Place, int]
) -> dict[tuple[Place, int], float]:
    reading = {"enable.partition.eof": True, "isolation.level": "read_committed"}
    found: dict[tuple[Place, int], float] = {}
    with closing(_consumer(home, port, "civicbus-status", **reading)) as consumer:
        consumer.assign([TopicPartition(*place, offset) for place, offset in places.items()])
        unanswered = set(places)
        deadline = time.monotonic() + _READ_S
        while unanswered and time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None:
                continue
            place = (message.topic() or "", message.partition() or 0)
            error = message.error()
            if place in unanswered and error is None:
                found[place, places[place]] = message.timestamp()[1] / 1000
            if error is None or error.code() == KafkaError._PARTITION_EOF:
                unanswered.discard(place)
                consumer.pause([TopicPartition(*place)])
    if unanswered:
        raise ServerNotReady("Kafka did not give the messages that groups are behind at")
    return found
