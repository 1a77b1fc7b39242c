"""From an event to the message that carries it: checked, addressed, encoded. No network but one
look-up of the schema id per event type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from civicbus_schemas.codec import SchemaDocument, frame
from civicbus_schemas.envelope import Envelope, Headers
from civicbus_schemas.errors import Forbidden, InvalidEvent, InvalidIdentifier, TooLarge
from civicbus_schemas.event import Event
from civicbus_schemas.ids import AgencyId, EventId, EventType, Pin, new_event_id
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.topics import MAX_EVENT_BYTES, SourceTopic


class SchemaIds(Protocol):
    """Where the ids of schemas come from: the registry, or memory in tests."""

    def get_id(self, topic: str, document: SchemaDocument) -> int:
        """The id of this very schema on that topic; raises `Refused` or `Unavailable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message ready to be produced. The key is the subject's topic pseudonym."""

    event_id: EventId
    event_type: EventType
    topic: str
    key: bytes
    value: bytes
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """What is the same for all events of one type."""

    event_type: EventType
    topic: str
    schema_id: int
    encode: Callable[[dict[str, Any]], bytes]


class Composer:
    """Composes the messages of one agency."""

    def __init__(
        self, agency: AgencyId, *, families: Sequence[str], topic_key: bytes, schema_ids: SchemaIds
    ) -> None:
        self._agency = agency
        self._families = tuple(families)
        self._key = topic_key
        self._schema_ids = schema_ids
        self._source = f"/agencies/{agency}"
        self._routes: dict[type[Event], _Route] = {}

    def compose(
        self,
        event: Event,
        *,
        subject: Pin,
        time: datetime | None = None,
        event_id: EventId | None = None,
        traceparent: str | None = None,
    ) -> Outgoing:
        """The message of this event about this subject, which must be the event's first.

        Raises `InvalidEvent` (names field and rule, never a value), `TooLarge`, `Forbidden` for a
        family that the agency does not publish, and what the registry raises at the first event
        of its type. A given `event_id` must be a UUID: identifiers travel in the clear.
        """
        route = self._routes.get(type(event)) or self._route(event)
        if event.key_pin != subject:
            path = event.contract.key_subject.path
            raise InvalidEvent(
                f"{route.event_type}: the subject is not the person in field {path}",
                expected="the PIN of the event's first subject",
            )
        value = frame(route.schema_id, route.encode(event.to_datum()))
        if len(value) > MAX_EVENT_BYTES:
            raise TooLarge(
                f"{route.event_type} is too large",
                got=f"{len(value)} bytes",
                expected=f"at most {MAX_EVENT_BYTES}",
                next_step="publish a reference to large content, not the content",
            )
        id_ = new_event_id() if event_id is None else _uuid(event_id)
        envelope = Envelope(
            id=id_,
            source=self._source,
            type=route.event_type,
            time=datetime.now(UTC) if time is None else _aware(time),
            traceparent=traceparent,
        )
        return Outgoing(
            event_id=id_,
            event_type=route.event_type,
            topic=route.topic,
            key=topic_pseudonym(self._key, subject).encode(),
            value=value,
            headers=envelope.headers(),
        )

    def _route(self, event: Event) -> _Route:
        if not isinstance(event, Event):
            raise InvalidEvent(
                "not an event", got=type(event).__name__, expected="a value of an event class"
            )
        contract = event.contract
        if contract.is_view or contract.family not in self._families:
            raise Forbidden(
                f"{self._agency} does not publish {contract.event_type}",
                expected=f"a family of {', '.join(self._families) or 'none'}",
                next_step="ask for the family to be provisioned for this agency",
            )
        topic = SourceTopic(self._agency, contract.family).name
        route = _Route(
            event_type=contract.event_type,
            topic=topic,
            schema_id=self._schema_ids.get_id(topic, contract.document),
            encode=contract.avro.encode,
        )
        self._routes[type(event)] = route
        return route


def _uuid(text: str) -> EventId:
    try:
        canonical = str(UUID(text))
    except ValueError:
        canonical = ""
    if canonical != text:
        raise InvalidIdentifier(
            "malformed event id",
            got=f"{len(text)} characters",
            expected="a UUID in lower case, such as a receipt's event_id",
        )
    return EventId(text)


def _aware(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise InvalidEvent("the event's time has no zone", expected="an aware datetime")
    return time
