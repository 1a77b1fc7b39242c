"""The examples of the SDKs' READMEs run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from civicbus_consumers.subscription import Subscription
from civicbus_consumers.testing import deliver
from civicbus_producers.publisher import Publisher
from civicbus_schemas.event import Delivered
from civicbus_schemas.ids import Pin

from tests.contract.sdk_samples import (
    SUBJECT,
    a_birth,
    delivered_datum,
    delivered_schema,
    delivery_envelope,
)
from tests.fakes.publisher import fake_publisher
from tests.fakes.subscription import fake_subscription

ROOT = Path(__file__).resolve().parents[2]


def example(readme: str) -> str:
    """The first Python block of a README."""
    found = re.search(r"```python\n(.*?)```", (ROOT / readme).read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_example_publishes_when_run_as_the_readme_shows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publisher = fake_publisher()
    monkeypatch.setattr(Publisher, "connect", lambda _: publisher)
    shown: list[Any] = []
    names = {"birth": a_birth(), "Pin": Pin, "print": shown.append}
    exec(example("producers/README.md"), names)  # noqa: S102
    (published,) = shown
    assert published.topic == "src.moj.civil-status.v1"
    assert len(publisher.log.messages(published.topic)) == 1


def test_example_receives_when_run_as_the_readme_shows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subscription = fake_subscription()
    for number in range(2):
        deliver(
            subscription.log,
            "dlv.vss.civil-status.v1",
            schema=delivered_schema(),
            datum=delivered_datum(),
            envelope=delivery_envelope(number),
            subject=SUBJECT,
        )
    monkeypatch.setattr(Subscription, "connect", lambda _: subscription)
    enrolled: list[tuple[Delivered, str]] = []

    def enrol(event: Delivered, *, basis: str) -> None:
        enrolled.append((event, basis))
        if len(enrolled) == 2:
            subscription.stop()

    exec(example("consumers/README.md"), {"enrol": enrol})  # noqa: S102
    assert [basis for _, basis in enrolled] == ["law.state-management"] * 2
    subscription.close()
    assert subscription.log.positions["vss.main", "dlv.vss.civil-status.v1", 0] == 2
