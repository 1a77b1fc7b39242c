"""From a message on a delivery topic to a typed delivery or notice; what is odd is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from civicbus_schemas.codec import AvroType, SchemaDocument, document_fingerprint, unframe
from civicbus_schemas.envelope import Ground, parse_headers
from civicbus_schemas.errors import InvalidBytes, InvalidEnvelope, Refused
from civicbus_schemas.event import Delivered, delivered_class
from civicbus_schemas.ids import EventType, family_of, hex_id
from civicbus_schemas.pseudonym import PairwisePseudonym
from civicbus_schemas.withdrawn import is_withdrawn
from civicbus_schemas.withheld import WITHHELD, Notice, is_notice

from civicbus_consumers.delivery import Delivery, Position, Received, Withdrawn, Withheld

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
        self._notices: set[int] = set()

    def read(
        self,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: MessageHeaders | None,
        position: Position,
        acknowledgement: Callable[[], bool],
    ) -> Received:
        """The delivery or notice in a message.

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
            shared: dict[str, Any] = {
                "event_id": envelope.id,
                "purpose": envelope.ground.purpose,
                "basis": envelope.ground.basis,
                "agreement": envelope.ground.agreement,
                "record_id": envelope.ground.record_id,
                "consent": envelope.ground.consent,
                "time": envelope.time,
                "position": position,
                "traceparent": envelope.traceparent,
                "acknowledgement": acknowledgement,
            }
            if is_withdrawn(envelope.type):
                return _withdrawn(envelope.type, key=key, value=value, shared=shared)
            schema_id, body = unframe(value)
            subject = hex_id((key or b"").decode("latin-1"), what="message key")
            shared |= {"subject": PairwisePseudonym(subject), "former": _former(envelope.ground)}
            if is_notice(envelope.type):
                notice = self._notice(schema_id, body)
                return Withheld(type=notice.event_type, reason=notice.reason, **shared)
            type_ = self._type(schema_id, envelope.type)
            event = type_.cls.from_datum(type_.avro.decode(body))
            return Delivery(type=envelope.type, event=event, **shared)
        except Refused as reason:
            raise UndecodableDelivery(position, reason) from reason

    def _notice(self, schema_id: int, body: bytes) -> Notice:
        if schema_id not in self._notices:
            if document_fingerprint(self._schemas.get_document(schema_id)) != WITHHELD.fingerprint:
                raise InvalidBytes(f"schema {schema_id} is not that of notices")
            self._notices.add(schema_id)
        return Notice.decode(body)

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


def _former(ground: Ground) -> dict[PairwisePseudonym, PairwisePseudonym]:
    return {PairwisePseudonym(now): PairwisePseudonym(before) for now, before in ground.former}


def _withdrawn(
    type_: EventType, *, key: bytes | None, value: bytes | None, shared: Mapping[str, Any]
) -> Withdrawn:
    """A notice that names a consent, and nobody; raises `InvalidEnvelope`."""
    if key is not None or value is not None or shared["consent"] is None:
        raise InvalidEnvelope(
            "a notice of a withdrawal is malformed", expected="ce_consent, no key and no value"
        )
    return Withdrawn(type=type_, **shared)
