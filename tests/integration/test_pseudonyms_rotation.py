"""A key is rotated on the real broker: its recipient links pseudonyms, others notice nothing."""

from __future__ import annotations

import pytest
from civicbus_consumers.delivery import Delivery
from civicbus_consumers.subscription import Subscription
from civicbus_deploy import cli
from typer.testing import CliRunner

from tests.bus import Bus
from tests.lives import birth, child_pin
from tests.stack import DEADLINE_S

pytestmark = pytest.mark.broker

BIRTHS = "src.moj.civil-status.v1"
CHILD = 4_711


def civicbus(bus: Bus, *arguments: str) -> None:
    """A command on the stack; the workers of the test read what it changed when they start."""
    done = CliRunner().invoke(
        cli.app, ["pseudonyms", *arguments, "--home", str(bus.stack.home)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    bus.write_settings()


def received(bus: Bus, agency: str) -> Delivery:
    """What the agency gets of one more birth of the same child to the same mother."""
    with bus.publisher("moj") as moj:
        moj.publish(birth(CHILD), subject=child_pin(CHILD)).wait(DEADLINE_S)
    bus.settle(BIRTHS)
    connection = bus.connection(agency)
    with Subscription.connect(agency, connection, families=["civil-status"]) as subscription:
        *_, last = subscription.deliveries(idle_s=0)
        last.acknowledge()
    assert isinstance(last, Delivery)
    return last


def mother(delivery: Delivery) -> str:
    """The mother's pseudonym."""
    pin: str = delivery.event.parents[0].pin
    return pin


def test_a_recipient_links_old_and_new_pseudonyms_only_while_its_overlap_lasts(bus: Bus) -> None:
    before = received(bus, "vss")
    civicbus(bus, "rotate", "vss", "--overlap-days", "30")
    during = received(bus, "vss")
    assert during.subject != before.subject
    assert mother(during) != mother(before)
    assert during.former == {during.subject: before.subject, mother(during): mother(before)}
    civicbus(bus, "retire", "vss", "--now")
    after = received(bus, "vss")
    assert (after.subject, mother(after), after.former) == (during.subject, mother(during), {})


def test_another_recipient_notices_nothing_when_one_is_rotated(bus: Bus) -> None:
    before = received(bus, "mps")
    civicbus(bus, "rotate", "vss")
    during = received(bus, "mps")
    assert (during.subject, during.former) == (before.subject, {})
