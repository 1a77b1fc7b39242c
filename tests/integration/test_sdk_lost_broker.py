"""The SDK when the broker dies: blocked with a deadline, then told; nothing is lost in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from civicbus_producers.publisher import Publisher
from civicbus_producers.receipt import NotAcknowledged
from civicbus_schemas.envelope import parse_headers
from civicbus_schemas.errors import Overdue, Unavailable

from tests.contract.sdk_buses import KafkaBus
from tests.contract.sdk_samples import CHILD_PIN, a_birth
from tests.stack import Stack

pytestmark = [pytest.mark.broker, pytest.mark.crash]


def test_every_event_is_stored_or_reported_when_the_broker_is_killed_and_comes_back(
    make_stack: Callable[..., Stack], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("civicbus_producers.publisher.QUEUED_EVENTS", 200)
    bus = KafkaBus(make_stack("kafka", "postgres", "registry"), tmp_path)
    agency = bus.publisher_agency
    publisher = Publisher.connect(agency, bus.connection(agency), delivery_timeout_s=4)
    subscription = bus.subscription()
    assert list(subscription.deliveries(idle_s=0.5)) == []
    before = [publisher.publish(a_birth(), subject=CHILD_PIN) for _ in range(20)]
    publisher.flush(20)

    bus.stack.kill("kafka")
    lost = [publisher.publish(a_birth(), subject=CHILD_PIN) for _ in range(200)]
    with pytest.raises(Unavailable, match="full queue"):
        publisher.publish(a_birth(), subject=CHILD_PIN, deadline_s=0.5)
    with pytest.raises(Overdue):
        lost[0].wait(timeout_s=20)
    with pytest.raises(NotAcknowledged) as unacknowledged:
        publisher.flush(20)
    assert set(unacknowledged.value.event_ids) == {receipt.event_id for receipt in lost}
    with pytest.raises((Unavailable, Overdue)):
        list(subscription.deliveries(idle_s=0.5))

    bus.stack.start("kafka")
    again = [
        publisher.publish(a_birth(), subject=CHILD_PIN, event_id=receipt.event_id)
        for receipt in lost
    ]
    for receipt in again:
        receipt.wait(timeout_s=30)
    publisher.close()
    stored = [parse_headers(message.headers).id for message in bus.stored()]
    assert set(stored) == {receipt.event_id for receipt in before + lost}
    bus.deliver(1)
    assert next(subscription.deliveries(idle_s=90)).acknowledge()  # sessions expire first
    subscription.close()
