"""From a message on a delivery topic to a typed delivery. Strict: what is odd is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from civicbus_schemas.codec import AvroType, SchemaDocument, unframe
from civicbus_schemas.envelope import parse_headers
from civicbus_schemas.errors import InvalidBytes, InvalidEnvelope, Refused
from civicbus_schemas.event import Delivered, delivered_class
from civicbus_schemas.ids import EventType, family_of, hex_id
from civicbus_schemas.pseudonym import PairwisePseudonym

from civicbus_consumers.delivery import Delivery, Position

MessageHeaders = dict[str, str | bytes | None] | list[tuple[str, str | bytes | None]]


class SchemaDocuments(Protocol):
    """Where the schemas of ids come from: the registry, or memory in tests."""

    def get_document(self, schema_id: int) -> SchemaDocument:
        """The schema document of an id; raises `Refused` or `Unavailable`."""


class UndecodableDelivery(Refused):
    """A message on a delivery topic cannot be read; `position` says which.

    It will be met again until `Subscription.pass_over(position)` is called.
    """

    def __init__(self, position: Position, reason: Refused) -> None:
        self.position = position
        super().__init__(
            f"the delivery at {position} cannot be read",
            got=reason.what,
            expected=reason.expected,
            next_step="report it to the operator of the bus; pass_over(position) goes on without",
        )


@dataclass(frozen=True, slots=True)
class _DeliveredType:
    avro: AvroType
    cls: type[Delivered]


class DeliveryReader:
    """Reads the deliveries of one agency; each delivered schema becomes a class once."""

    def __init__(self, schemas: SchemaDocuments) -> None:
        self._schemas = schemas
        self._types: dict[tuple[int, EventType], _DeliveredType] = {}

    def read(
        self,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: MessageHeaders | None,
        position: Position,
        acknowledgement: Callable[[], bool],
    ) -> Delivery:
        """The delivery in a message.

        Raises `UndecodableDelivery`, or `Unavailable` when the registry does not answer.
        """
        try:
            envelope = parse_headers(headers.items() if isinstance(headers, dict) else headers)
            if envelope.ground is None:
                raise InvalidEnvelope(
                    "a delivery names no ground", expected="ce_purpose and others"
                )
            if position.topic.split(".")[2:3] != [family_of(envelope.type)]:
                raise InvalidEnvelope("the event type is of another family than the topic")
            schema_id, body = unframe(value)
            type_ = self._type(schema_id, envelope.type)
            subject = hex_id((key or b"").decode("latin-1"), what="message key")
            return Delivery(
                event=type_.cls.from_datum(type_.avro.decode(body)),
                event_id=envelope.id,
                type=envelope.type,
                purpose=envelope.ground.purpose,
                basis=envelope.ground.basis,
                agreement=envelope.ground.agreement,
                record_id=envelope.ground.record_id,
                consent=envelope.ground.consent,
                time=envelope.time,
                subject=PairwisePseudonym(subject),
                position=position,
                traceparent=envelope.traceparent,
                acknowledgement=acknowledgement,
            )
        except Refused as reason:
            raise UndecodableDelivery(position, reason) from reason

    def _type(self, schema_id: int, event_type: EventType) -> _DeliveredType:
        known = self._types.get((schema_id, event_type))
        if known is not None:
            return known
        document = self._schemas.get_document(schema_id)
        if document.get("name") != event_type.partition(".")[2] or "not_released" not in document:
            raise InvalidBytes(f"schema {schema_id} is not a delivered type of {event_type}")
        type_ = _DeliveredType(AvroType(document), delivered_class(document))
        self._types[schema_id, event_type] = type_
        return type_
