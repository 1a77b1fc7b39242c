"""The view made anew from its deliveries, compared with the living one, and put in its place.

The copy is folded beside the view while that goes on working; only the last step holds it up. The
copy is brought to exactly the positions of the view, so that the two hashes must be equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from civicbus_producers.kafka import consumer_config, kafka_errors_translated, translate
from civicbus_producers.registry import Registry
from civicbus_schemas.errors import Unavailable
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from sqlalchemy import Connection, Engine, select, text, update
from sqlalchemy.schema import DropSchema

from civicbus_consumers.population.database import (
    errors_translated,
    hold_writer_lock,
    make_engine,
    migrate,
)
from civicbus_consumers.population.handler import ViewHandler
from civicbus_consumers.population.hashing import view_hash
from civicbus_consumers.population.incoming import Decoder, Incoming, Partition
from civicbus_consumers.population.settings import PopulationSettings
from civicbus_consumers.population.store import ViewStore
from civicbus_consumers.population.tables import SCHEMA, state, watermark

COPY = f"{SCHEMA}_copy"
FORMER = f"{SCHEMA}_former"
_SILENCE = 60  # polls of half a second without a message before the broker is given up

Progress = Callable[[int, int], None]  # offsets read, offsets to read


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What came of it. The copy took the view's place unless it differed."""

    view_hash: str
    copy_hash: str
    view_deliveries: int
    copy_deliveries: int
    replaced: bool

    @property
    def equal(self) -> bool:
        """Whether view and copy were the same."""
        return self.view_hash == self.copy_hash


def rebuild(
    settings: PopulationSettings, *, even_if_different: bool = False, progress: Progress
) -> Rebuilt:
    """Make the view anew and compare.

    1. An empty copy, folded from the first delivery on to where the view is now.
    2. The view's writer is held; the copy is brought to where the view has come meanwhile.
    3. Both are hashed. If they are equal, or it was asked for, the copy becomes the view.

    Raises `Unavailable` or `Fatal`; then the view is as it was.
    """
    live = make_engine(settings.postgres_dsn_file)
    beside = make_engine(settings.postgres_dsn_file, schema=COPY)
    try:
        _clear(live)
        migrate(beside, schema=COPY)
        with ViewStore(beside) as store, _Deliveries(settings) as deliveries:
            handler = ViewHandler(Decoder(Registry(settings.registry_url)), store)
            with errors_translated("reading the view"), live.connect() as connection:
                ends = _positions(connection)
            deliveries.fold(handler, ends, progress=progress)
            with errors_translated("comparing the views"), live.begin() as connection:
                hold_writer_lock(connection)
                deliveries.fold(handler, _positions(connection), progress=progress)
                outcome = _compared(connection, beside, even_if_different=even_if_different)
                if outcome.replaced:
                    _replace(connection)
        _clear(live)
        return outcome
    finally:
        beside.dispose()
        live.dispose()


class _Deliveries:
    """The agency's delivery topics from their beginning, in a group that commits nothing."""

    def __init__(self, settings: PopulationSettings) -> None:
        name, group = f"{settings.name}-rebuild", f"{settings.group}-rebuild"
        self._consumer = Consumer(consumer_config(settings, client_id=name, group=group))
        self._batch = settings.batch_messages

    def __enter__(self) -> _Deliveries:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def fold(
        self, handler: ViewHandler, ends: Mapping[Partition, int], *, progress: Progress
    ) -> None:
        """Apply what lies before the ends and was not applied yet."""
        begun = handler.positions
        self._consumer.assign([TopicPartition(*place, begun.get(place, 0)) for place in ends])
        silence = 0
        while not all(handler.positions.get(place, 0) >= end for place, end in ends.items()):
            messages = self._consume()
            handler.handle([m for m in messages if m.offset < ends[m.place]])
            silence = 0 if messages else silence + 1
            if silence > _SILENCE:
                raise Unavailable(
                    "deliveries that the view has are no longer on their topics, or nobody answers"
                )
            read = sum(min(handler.positions.get(p, 0), end) for p, end in ends.items())
            progress(read, sum(ends.values()))

    def _consume(self) -> list[Incoming]:
        with kafka_errors_translated("reading deliveries"):
            messages = self._consumer.consume(self._batch, timeout=0.5)
        return [_incoming(message) for message in messages if _is_delivery(message)]


def _is_delivery(message: Message) -> bool:
    error = message.error()
    if error is None:
        return True
    if error.code() == KafkaError._PARTITION_EOF:
        return False
    raise translate(error, doing="reading deliveries")


def _incoming(message: Message) -> Incoming:
    headers = message.headers() or ()
    return Incoming(
        topic=str(message.topic()),
        partition=int(message.partition() or 0),
        offset=int(message.offset() or 0),
        at=datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC),
        headers=headers.items() if isinstance(headers, dict) else headers,
        value=message.value(),
    )


def _positions(connection: Connection) -> dict[Partition, int]:
    rows = connection.execute(select(watermark))
    return {(topic, partition): offset for topic, partition, offset in rows}


def _compared(live: Connection, beside: Engine, *, even_if_different: bool) -> Rebuilt:
    """Compare; the copy goes on counting where the view is, for its watermark must grow."""
    batch, deliveries = live.execute(select(state.c.batch, state.c.deliveries)).one()
    with beside.begin() as copy:
        hashes = view_hash(live), view_hash(copy)
        counted = copy.scalar(select(state.c.deliveries)) or 0
        copy.execute(update(state).values(batch=batch + 1))
    return Rebuilt(
        view_hash=hashes[0],
        copy_hash=hashes[1],
        view_deliveries=deliveries,
        copy_deliveries=counted,
        replaced=even_if_different or hashes[0] == hashes[1],
    )


def _replace(connection: Connection) -> None:
    connection.execute(text(f"alter schema {SCHEMA} rename to {FORMER}"))
    connection.execute(text(f"alter schema {COPY} rename to {SCHEMA}"))


def _clear(engine: Engine) -> None:
    """Remove a copy that was not taken, and a view that was replaced."""
    with errors_translated("removing a former view"), engine.begin() as connection:
        for schema in (COPY, FORMER):
            connection.execute(DropSchema(schema, cascade=True, if_exists=True))
