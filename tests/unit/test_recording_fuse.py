"""The fuse: it blows on what is old, silent or from the future, and on nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from civicbus_consumers.recording.fuse import (
    LOOK_S,
    SealingBehind,
    SealingFuse,
    level_note,
    parse_level,
)
from civicbus_consumers.recording.settings import RecordingSettings
from civicbus_producers.settings import InvalidSettings
from civicbus_schemas.errors import Unavailable
from pydantic import ValidationError

NOW = datetime(2026, 6, 1, 5, tzinfo=UTC)
LIMIT_S = 60.0
FILES = ("password_file", "vault_key_file", "vault_dsn_file", "signing_key_file")


class Sealing:
    """What sealing says, and how often somebody looked; an error is raised."""

    def __init__(self, *said: datetime | Exception | None) -> None:
        self._said = list(said)
        self.looks = 0

    def __call__(self) -> datetime | None:
        self.looks += 1
        said = self._said.pop(0) if len(self._said) > 1 else self._said[0]
        if isinstance(said, Exception):
            raise said
        return said


class Clock:
    """Both clocks, moved together."""

    def __init__(self) -> None:
        self.at = NOW

    def fuse(self, look: Callable[[], datetime | None]) -> SealingFuse:
        return SealingFuse(
            look,
            limit_s=LIMIT_S,
            now=lambda: self.at,
            elapsed_s=lambda: (self.at - NOW).total_seconds(),
        )

    def pass_(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.mark.parametrize("age_s", [0, 59.9, 60, -60])
def test_it_holds_when_all_was_sealed_within_the_limit(age_s: float) -> None:
    Clock().fuse(Sealing(NOW - timedelta(seconds=age_s))).check()


@pytest.mark.parametrize("age_s", [60.1, 86_400, -60.1])
def test_it_blows_when_sealing_is_behind_or_ahead_of_the_limit(age_s: float) -> None:
    with pytest.raises(SealingBehind, match="expected all sealed up to 60 s ago"):
        Clock().fuse(Sealing(NOW - timedelta(seconds=age_s))).check()


@pytest.mark.parametrize("said", [None, Unavailable("the broker does not answer")])
def test_it_is_blown_when_nothing_is_known_yet(said: Exception | None) -> None:
    with pytest.raises(SealingBehind, match="said nothing yet"):
        Clock().fuse(Sealing(said)).check()


@pytest.mark.parametrize("silence", [None, Unavailable("the broker does not answer"), NOW])
def test_it_blows_after_the_limit_when_sealing_goes_silent(
    silence: datetime | Exception | None,
) -> None:
    clock = Clock()
    fuse = clock.fuse(Sealing(NOW, silence))
    fuse.check()
    clock.pass_(LIMIT_S)
    fuse.check()
    clock.pass_(1)
    with pytest.raises(SealingBehind):
        fuse.check()


def test_it_holds_again_when_sealing_has_caught_up() -> None:
    clock = Clock()
    fuse = clock.fuse(Sealing(NOW - timedelta(hours=1), NOW))
    with pytest.raises(SealingBehind):
        fuse.check()
    clock.pass_(LOOK_S)
    fuse.check()


def test_it_looks_seldom_when_it_is_asked_often() -> None:
    clock, sealing = Clock(), Sealing(NOW)
    fuse = clock.fuse(sealing)
    for _ in range(10):
        fuse.check()
        clock.pass_(LOOK_S / 4)
    assert sealing.looks == 3


def test_a_note_is_read_as_it_was_written() -> None:
    assert parse_level(level_note(NOW)) == NOW


@pytest.mark.parametrize(
    "note",
    ["", "v1 attempt=0", "sealed-until=", "sealed-until=now", "sealed-until=2026-06-01T05:00"],
)
def test_no_time_is_read_when_a_note_is_another(note: str) -> None:
    assert parse_level(note) is None


def settings(**changes: object) -> RecordingSettings:
    values = {
        "name": "enforce-0",
        "environment": "production",
        "bootstrap": "127.0.0.1:9092",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "username": "bus-enforce",
        "registry_url": "http://127.0.0.1:8081",
        "health_port": 0,
        **dict.fromkeys(FILES, Path("none")),
    }
    return RecordingSettings(**values | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [None, 0, -1, float("nan"), float("inf"), 1e12])
def test_production_is_refused_when_the_limit_would_watch_nothing(limit: float | None) -> None:
    assert settings().sealing_limit_s == LIMIT_S
    with pytest.raises((InvalidSettings, ValidationError)):
        settings(sealing_limit_s=limit)
