"""The SDKs' example programs run against the real broker, as an agency would run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.contract.sdk_buses import KafkaBus
from tests.stack import Stack

pytestmark = pytest.mark.broker

ROOT = Path(__file__).resolve().parents[2]


def run(example: str, *, bus: KafkaBus, agency: str, folder: Path) -> str:
    """What an example prints when the environment names this agency's file."""
    path = folder / f"{agency}.json"
    path.write_text(json.dumps(asdict(bus.connection(agency)), default=str))
    result = subprocess.run(
        [sys.executable, ROOT / example, agency],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env={**os.environ, "CIVICBUS_AGENCY_FILE": str(path)},
    )
    return result.stdout


def test_birth_is_published_when_the_example_runs(stack: Stack, tmp_path: Path) -> None:
    bus = KafkaBus(stack, tmp_path)
    output = run(
        "producers/examples/publish_birth.py",
        bus=bus,
        agency=bus.publisher_agency,
        folder=tmp_path,
    )
    assert output.endswith(f"lies in {bus.source}\n")
    assert len(bus.stored()) == 1


def test_each_child_is_enrolled_once_when_deliveries_are_repeated(
    stack: Stack, tmp_path: Path
) -> None:
    bus = KafkaBus(stack, tmp_path)
    for number in (1, 2, 2, 1, 3):
        bus.deliver(number)
    example = "consumers/examples/enrol_children.py"
    first = run(example, bus=bus, agency=bus.recipient, folder=tmp_path)
    again = run(example, bus=bus, agency=bus.recipient, folder=tmp_path)
    assert first == again == "3 children enrolled\n"
