"""From what a batch comes to, to the messages that its transaction produces."""

from __future__ import annotations

from dataclasses import replace

from civicbus_schemas.codec import frame
from civicbus_schemas.topics import SourceTopic

from civicbus_consumers.enforcement.broker import Outgoing
from civicbus_consumers.enforcement.deliveries import Delivery
from civicbus_consumers.enforcement.rules import DeadLetter
from civicbus_consumers.enforcement.states import ReadyPlan


def frame_delivery(delivery: Delivery, ready: ReadyPlan, *, traceparent: str | None) -> Outgoing:
    """The message of a delivery or notice, under its schema's id in the registry."""
    schema_id = ready.schema_ids[delivery.agreement, delivery.event_type]
    envelope = delivery.envelope
    if traceparent is not None:
        envelope = replace(envelope, traceparent=traceparent)
    return Outgoing(
        topic=delivery.topic,
        partition=delivery.partition,
        key=delivery.key,
        value=frame(schema_id, delivery.body),
        headers=envelope.headers(),
    )


def letter_message(letter: DeadLetter) -> Outgoing:
    """The original bytes untouched; no key, for a wrong key may be a number in clear."""
    return Outgoing(
        topic=SourceTopic.parse(letter.source.topic).dead_letters,
        partition=letter.source.partition,
        key=None,
        value=letter.value,
        headers=letter.headers,
    )
