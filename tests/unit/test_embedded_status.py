"""What `civicbus status` makes of answers that it did not get: unknown, and never nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from civicbus_deploy.embedded.status import ProcessState, Status, gauges_of, show


def process(name: str) -> ProcessState:
    return ProcessState(
        name=name, state="up", ready=True, pid=1, deaths=0, last_exit=None, memory_mib=1
    )


FOUND = Status(
    phase="serving",
    processes=(process("postgres"), process("indexing")),
    lags=(),
    sealing_backlog=0,
    unwitnessed_s=0.0,
    checkpoint_age_s=1.0,
    contradictions=0,
    reviews_overdue=0,
    supervisor_mib=1,
)


@pytest.mark.parametrize(("overdue", "healthy"), [(0, True), (1, False), (None, False)])
def test_a_stack_is_healthy_when_it_is_known_that_no_review_is_overdue(
    overdue: int | None, *, healthy: bool
) -> None:
    assert replace(FOUND, reviews_overdue=overdue).healthy is healthy


def test_servers_alone_are_healthy_when_nobody_could_know_of_reviews() -> None:
    servers = replace(FOUND, processes=(process("postgres"),), reviews_overdue=None)
    assert servers.healthy


def test_lags_are_shown_as_unknown_when_kafka_did_not_tell_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(replace(FOUND, lags=None))
    assert "readers at the end of their topic: -\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("topic", "index", "told"), [("0", "0", 0), ("NaN", "0", None), ("NaN", "2", 2), ("1", "2", 3)]
)
def test_what_was_not_compared_is_no_contradiction_and_not_nothing_either(
    topic: str, index: str, told: int | None
) -> None:
    lines = (
        f'civicbus_scrub_faults{{comparison="{name}"}} {value}\n'
        for name, value in (("topic", topic), ("index", index))
    )
    assert gauges_of("".join(lines)).get("civicbus_scrub_faults") == told
