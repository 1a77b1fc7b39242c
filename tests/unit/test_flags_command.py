"""`civicbus flags` shows every flag, whatever numbers it was raised with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from civicbus_consumers.flags.findings import Finding
from civicbus_consumers.flags.reading import Shown
from civicbus_consumers.flags.words import Flag
from civicbus_deploy.oversight import flags
from typer.testing import CliRunner

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
NUMBERS = {(None, None): "", (40, None): "40", (8, 0.4): "8, usually 0.4", (1, 0.0): "1, usually 0"}


@pytest.mark.parametrize("flag", Flag)
def test_a_flag_is_listed_and_shown_when_it_has_numbers_or_none(
    flag: Flag, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Finding(
        flag=flag, record="a" * 32, at=AT, raised_at=AT, agency="mps",
        officer="c" * 32, subject="d" * 32, score=55,
    )  # fmt: skip
    shown = [
        Shown(finding=replace(found, count=count, usual=usual), closed_at=None, closing=None)
        for count, usual in NUMBERS
    ]

    @contextmanager
    def no_database(folder: object) -> Iterator[None]:
        del folder
        yield None

    monkeypatch.setattr(flags, "_engine", no_database)
    monkeypatch.setattr(flags, "list_flags", lambda *_, **__: shown)
    listed = CliRunner().invoke(flags.app, ["list", "--json"], catch_exceptions=False)
    rows = json.loads(listed.stdout)["flags"]
    assert [(row["flag"], row["seen"]) for row in rows] == [(flag, n) for n in NUMBERS.values()]
    for each, seen in zip(shown, NUMBERS.values(), strict=True):
        monkeypatch.setattr(flags, "get_flag", lambda *_, each=each: each)
        told = CliRunner().invoke(flags.app, ["show", "x"], catch_exceptions=False)
        assert f"seen       {seen}" in told.stdout or not seen
