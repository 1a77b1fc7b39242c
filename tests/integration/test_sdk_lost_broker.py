"""The SDK when the broker dies: blocked with a deadline, then told; nothing is lost in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from civicbus_producers.publisher import Publisher
from civicbus_producers.receipt import NotAcknowledged
from civicbus_schemas.envelope import parse_headers
from civicbus_schemas.errors import Overdue, Unavailable
from civicbus_schemas.ids import EventId, new_event_id

from tests.contract.sdk_buses import KafkaBus
from tests.contract.sdk_samples import CHILD_PIN, a_birth
from tests.stack import DEADLINE_S, Stack, wait_until

pytestmark = [pytest.mark.broker, pytest.mark.crash]


def publish_until_acknowledged(publisher: Publisher, ids: Iterable[EventId]) -> None:
    """As an agency does: what was not acknowledged in time is published again under its id."""
    left = set(ids)

    def are_acknowledged() -> bool:
        receipts = [
            publisher.publish(a_birth(), subject=CHILD_PIN, event_id=id_) for id_ in sorted(left)
        ]
        for receipt in receipts:
            with suppress(Overdue):
                receipt.wait(DEADLINE_S)
                left.discard(receipt.event_id)
        return not left

    wait_until(are_acknowledged, what="all events to be acknowledged")


def test_every_event_is_stored_or_reported_when_the_broker_is_killed_and_comes_back(
    make_stack: Callable[..., Stack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("civicbus_producers.publisher.QUEUED_EVENTS", 200)
    bus = KafkaBus(make_stack("kafka", "postgres", "registry"), tmp_path)
    agency = bus.publisher_agency
    publisher = Publisher.connect(agency, bus.connection(agency), delivery_timeout_s=4)
    subscription = bus.subscription()
    assert list(subscription.deliveries(idle_s=0.5)) == []
    before = {new_event_id() for _ in range(20)}
    publish_until_acknowledged(publisher, before)

    bus.stack.kill("kafka")
    lost = [publisher.publish(a_birth(), subject=CHILD_PIN) for _ in range(200)]
    with pytest.raises(Unavailable, match="full queue"):
        publisher.publish(a_birth(), subject=CHILD_PIN, deadline_s=0.5)
    with pytest.raises(Overdue):
        lost[0].wait(DEADLINE_S)
    with pytest.raises(NotAcknowledged) as unacknowledged:
        publisher.flush(DEADLINE_S)
    assert set(unacknowledged.value.event_ids) == {receipt.event_id for receipt in lost}
    with pytest.raises((Unavailable, Overdue)):
        list(subscription.deliveries(idle_s=0.5))

    bus.stack.start("kafka")
    publish_until_acknowledged(publisher, {receipt.event_id for receipt in lost})
    publisher.close()
    stored = [parse_headers(message.headers).id for message in bus.stored()]
    assert set(stored) == before | {receipt.event_id for receipt in lost}
    bus.deliver(1)
    assert next(subscription.deliveries(idle_s=DEADLINE_S)).acknowledge()  # sessions expire first
    subscription.close()
