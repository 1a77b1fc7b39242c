"""What a subscription promises, in memory and on the real broker."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from civicbus_consumers.delivery import Delivery, Withdrawn, Withheld
from civicbus_consumers.reading import UndecodableDelivery
from civicbus_consumers.subscription import Subscription
from civicbus_schemas.codec import frame
from civicbus_schemas.errors import NotReleased, Refused
from civicbus_schemas.event import Delivered
from civicbus_schemas.ids import EventType
from civicbus_schemas.withheld import WithheldReason, notice_type

from tests.contract.sdk_buses import Bus, KafkaBus, MemoryBus
from tests.contract.sdk_samples import (
    AGREEMENT,
    CHILD_PIN,
    NOTICE,
    PERSONAL_VALUES,
    SUBJECT,
    delivery_envelope,
)
from tests.stack import DEADLINE_S


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.broker)])
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Bus:
    if request.param == "memory":
        return MemoryBus()
    return KafkaBus(request.getfixturevalue("stack"), tmp_path)


def take(subscription: Subscription, count: int) -> list[Delivery]:
    """The next deliveries, exactly that many."""
    iterator = subscription.deliveries(idle_s=DEADLINE_S)
    taken = [next(iterator) for _ in range(count)]
    deliveries = [received for received in taken if isinstance(received, Delivery)]
    assert len(deliveries) == count
    return deliveries


def drained(subscription: Subscription) -> list[int]:
    """The numbers of all deliveries there are, acknowledged as they come."""
    numbers = []
    for delivery in subscription.deliveries(idle_s=0):
        numbers.append(int(delivery.event_id, 16))
        delivery.acknowledge()
    return numbers


def test_delivery_is_typed_and_tells_its_ground_when_received(bus: Bus) -> None:
    bus.deliver(7)
    with bus.subscription() as subscription:
        (delivery,) = take(subscription, 1)
    event: Delivered = delivery.event
    child = event.child
    assert child.pin == CHILD_PIN.number
    assert delivery.event_id == delivery.record_id == f"{7:032x}"
    assert (delivery.purpose, delivery.basis) == (
        "health-insurance.enrol-child",
        "law.state-management",
    )
    assert (delivery.agreement, delivery.subject) == (AGREEMENT, SUBJECT)
    assert delivery.trace_link is not None
    assert delivery.trace_link.context.trace_id == int("ab" * 16, 16)
    assert not [value for value in (*PERSONAL_VALUES, SUBJECT) if value in repr(delivery)]


def test_former_pseudonyms_are_told_when_the_recipients_are_being_replaced(bus: Bus) -> None:
    ground = delivery_envelope(1).ground
    assert ground is not None
    bus.deliver(1, ground=replace(ground, former=((SUBJECT, "12" * 16),)))
    bus.deliver(2)
    with bus.subscription() as subscription:
        first, second = take(subscription, 2)
    assert first.former == {SUBJECT: "12" * 16}
    assert second.former == {}
    assert "12" * 16 not in repr(first)


def test_notice_tells_type_and_reason_when_something_was_withheld(bus: Bus) -> None:
    bus.deliver(1)
    bus.withhold(2)
    with bus.subscription() as subscription:
        first, second = islice(subscription.deliveries(idle_s=DEADLINE_S), 2)
        match second:
            case Withheld(type=type_, reason=reason):
                assert (type_, reason) == (NOTICE.event_type, WithheldReason.CONSENT_CHANGED)
            case _:
                raise AssertionError(second)
        assert (second.subject, second.agreement) == (SUBJECT, AGREEMENT)
        assert second.record_id == f"{2:032x}"
        assert not hasattr(second, "event")
        assert SUBJECT not in repr(second)
        assert first.acknowledge()
        assert second.acknowledge()
    with bus.subscription() as subscription:
        assert drained(subscription) == []


@pytest.mark.parametrize("body", [b"\x02a\x02b", NOTICE.encode()[:-1], NOTICE.encode() + b"\x00"])
def test_notice_raises_until_it_is_passed_over_when_it_says_something_else(
    bus: Bus, body: bytes
) -> None:
    bus.withhold(1, body=body)
    with bus.subscription() as subscription, pytest.raises(UndecodableDelivery):
        next(subscription.deliveries(idle_s=DEADLINE_S))


def test_notice_is_undecodable_when_its_schema_is_a_deliverys(bus: Bus) -> None:
    bus.deliver(1, type=notice_type("civil-status"))
    with bus.subscription() as subscription, pytest.raises(UndecodableDelivery, match="notices"):
        next(subscription.deliveries(idle_s=DEADLINE_S))


def test_withdrawal_names_the_consent_of_deliveries_and_nobody(bus: Bus) -> None:
    bus.deliver(1)
    bus.withdraw(2, consent="c-1")
    with bus.subscription() as subscription:
        first, second = islice(subscription.deliveries(idle_s=DEADLINE_S), 2)
        assert isinstance(second, Withdrawn)
        assert (second.consent, second.type) == ("c-1", "civil-status.Withdrawn")
        assert (second.agreement, second.record_id) == (AGREEMENT, f"{2:032x}")
        assert not hasattr(second, "subject")
        assert first.acknowledge()
        assert second.acknowledge()
    with bus.subscription() as subscription:
        assert drained(subscription) == []


def test_cut_field_raises_not_released_when_read(bus: Bus) -> None:
    bus.deliver(1)
    with bus.subscription() as subscription:
        (delivery,) = take(subscription, 1)
    with pytest.raises(NotReleased, match="date_of_birth"):
        _ = delivery.event.child.date_of_birth
    with pytest.raises(NotReleased, match="registered_at"):
        _ = delivery.event.registered_at


def test_deliveries_do_not_come_again_when_they_were_acknowledged(bus: Bus) -> None:
    for number in range(3):
        bus.deliver(number)
    with bus.subscription() as subscription:
        for delivery in take(subscription, 2):
            assert delivery.acknowledge()
    with bus.subscription() as subscription:
        assert drained(subscription) == [2]
    with bus.subscription() as subscription:
        assert drained(subscription) == []


def test_delivery_comes_again_when_it_was_not_acknowledged(bus: Bus) -> None:
    bus.deliver(1)
    with bus.subscription() as subscription:
        take(subscription, 1)
    with bus.subscription() as subscription:
        assert drained(subscription) == [1]


def test_commit_stays_before_the_gap_when_acknowledged_out_of_order(bus: Bus) -> None:
    for number in range(4):
        bus.deliver(number)
    with bus.subscription() as subscription:
        deliveries = take(subscription, 4)
        for number in (3, 2, 0):
            assert deliveries[number].acknowledge()
    with bus.subscription() as subscription:
        assert drained(subscription) == [1, 2, 3]


def test_partitions_are_acknowledged_apart_when_one_has_a_gap(bus: Bus) -> None:
    for number in range(4):
        bus.deliver(number, partition=number % 2)
    with bus.subscription() as subscription:
        for delivery in take(subscription, 4):
            if int(delivery.event_id, 16) != 0:
                delivery.acknowledge()
    with bus.subscription() as subscription:
        assert sorted(drained(subscription)) == [0, 2]


def test_each_group_gets_everything_when_names_differ(bus: Bus) -> None:
    bus.deliver(1)
    with bus.subscription() as subscription:
        assert drained(subscription) == [1]
    with bus.subscription("archive") as subscription:
        assert drained(subscription) == [1]


def test_acknowledgement_no_longer_counts_when_the_subscription_is_closed(bus: Bus) -> None:
    bus.deliver(1)
    with bus.subscription() as subscription:
        (delivery,) = take(subscription, 1)
    assert not delivery.acknowledge()
    with bus.subscription() as subscription:
        assert drained(subscription) == [1]


def test_iteration_ends_when_it_is_stopped(bus: Bus) -> None:
    for number in range(3):
        bus.deliver(number)
    with bus.subscription() as subscription:
        for seen, _ in enumerate(subscription.deliveries(), start=1):
            if seen == 2:
                subscription.stop()
    assert seen == 2


def test_iterating_is_refused_when_the_subscription_is_closed(bus: Bus) -> None:
    subscription = bus.subscription()
    subscription.close()
    with pytest.raises(Refused, match="closed"):
        next(subscription.deliveries())


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        pytest.param(b"", {}, id="no-frame"),
        pytest.param(frame(2_000_000_000, b"\x00"), {}, id="unknown-schema-id"),
        pytest.param(None, {"ground": None}, id="no-ground"),
        pytest.param(None, {"type": EventType("civil-status.DeathRegistered")}, id="other-type"),
        pytest.param(None, {"type": EventType("health.BirthRegistered")}, id="other-family"),
    ],
)
def test_undecodable_delivery_raises_until_it_is_passed_over_when_met(
    bus: Bus, value: bytes | None, changes: dict[str, object]
) -> None:
    bus.deliver(0)
    if value is None:
        bus.deliver(1, **changes)
    else:
        bus.deliver_bytes(value, envelope=delivery_envelope(1))
    bus.deliver(2)
    with bus.subscription() as subscription:
        (first,) = take(subscription, 1)
        first.acknowledge()
        positions = set()
        for _ in range(2):
            with pytest.raises(UndecodableDelivery) as undecodable:
                take(subscription, 1)
            positions.add(undecodable.value.position)
        (position,) = positions
        assert position.offset == 1
        subscription.pass_over(position)
        assert drained(subscription) == [2]
    with bus.subscription() as subscription:
        assert drained(subscription) == []


def test_truncated_body_raises_and_shows_no_value_when_met(bus: Bus) -> None:
    bus.deliver(0)
    with bus.subscription() as subscription:
        (delivery,) = take(subscription, 1)
        schema_id = 1
        if isinstance(bus, KafkaBus):
            schema_id = bus.delivered_id
        bus.deliver_bytes(
            frame(schema_id, b"\x18" + CHILD_PIN.number.encode()), envelope=delivery_envelope(1)
        )
        with pytest.raises(UndecodableDelivery) as undecodable:
            take(subscription, 1)
    assert CHILD_PIN.number not in str(undecodable.value)
    assert delivery.position.offset == 0


def test_passing_over_is_refused_when_the_delivery_could_be_read(bus: Bus) -> None:
    bus.deliver(0)
    with bus.subscription() as subscription:
        (delivery,) = take(subscription, 1)
        with pytest.raises(Refused, match="passed over"):
            subscription.pass_over(delivery.position)
