"""From a message on a delivery topic to what it tells. What is odd is refused, never guessed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from civicbus_schemas.codec import AvroType, SchemaDocument, unframe
from civicbus_schemas.envelope import Envelope, parse_headers
from civicbus_schemas.errors import InvalidBytes, InvalidEnvelope
from civicbus_schemas.ids import EventType, family_of

from civicbus_consumers.population.rules import Told, owners_of
from civicbus_consumers.reading import SchemaDocuments

Partition = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A message as the broker gave it; `at` is the message's time."""

    topic: str
    partition: int
    offset: int
    at: datetime
    headers: Iterable[tuple[str, bytes | str | None]] = field(repr=False)
    value: bytes | None = field(repr=False)

    @property
    def place(self) -> Partition:
        """Topic and partition."""
        return self.topic, self.partition


@dataclass(frozen=True, slots=True)
class _DeliveredType:
    avro: AvroType
    owners: dict[str, str]


class Decoder:
    """Decodes deliveries; each delivered schema is fetched and parsed once."""

    def __init__(self, schemas: SchemaDocuments) -> None:
        self._schemas = schemas
        self._types: dict[tuple[int, EventType], _DeliveredType] = {}

    def envelope(self, message: Incoming) -> Envelope:
        """The headers of a delivery; raises `InvalidEnvelope`."""
        envelope = parse_headers(message.headers)
        if envelope.ground is None:
            raise InvalidEnvelope("a delivery names no ground", expected="ce_purpose and others")
        if message.topic.split(".")[2:3] != [family_of(envelope.type)]:
            raise InvalidEnvelope("the event type is of another family than the topic")
        return envelope

    def told(self, message: Incoming, envelope: Envelope) -> Told:
        """What the delivery tells.

        Raises `Refused`, also where the registry does not know the schema, and `Unavailable` where
        it does not answer.
        """
        schema_id, body = unframe(message.value)
        type_ = self._type(schema_id, envelope.type)
        return Told(
            type=envelope.type,
            event_id=envelope.id,
            source=envelope.source,
            time=envelope.time,
            datum=type_.avro.decode(body),
            owners=type_.owners,
        )

    def _type(self, schema_id: int, event_type: EventType) -> _DeliveredType:
        known = self._types.get((schema_id, event_type))
        if known is not None:
            return known
        document = self._schemas.get_document(schema_id)
        if not _describes(document, event_type):
            raise InvalidBytes(f"schema {schema_id} is not a delivered type of {event_type}")
        type_ = _DeliveredType(AvroType(document), owners_of(document))
        self._types[schema_id, event_type] = type_
        return type_


def _describes(document: SchemaDocument, event_type: EventType) -> bool:
    """Whether this is what `delivered.derive_delivered` makes of the event type's contract."""
    family, _, name = event_type.partition(".")
    room = str(document.get("namespace")).split(".")[1:2]  # <nation>.<family>.<agreement>
    return (
        document.get("name") == name
        and room == [family.replace("-", "_")]
        and "not_released" in document
    )
