"""The doctor's rules, as pure functions: which colour, and always a next step unless green."""

from __future__ import annotations

from pathlib import Path

import pytest
from civicbus_deploy.embedded import doctor
from civicbus_deploy.embedded.doctor import GIB, Colour
from civicbus_deploy.embedded.examination import examine
from civicbus_deploy.embedded.ground import choose_ports
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.embedded.status import ProcessState

LOG = Path("log")


def _process(*, ready: bool, state: str = "up", deaths: int = 0) -> ProcessState:
    return ProcessState(
        name="sealing",
        state=state,
        ready=ready,
        pid=1,
        deaths=deaths,
        last_exit="exit code -9" if deaths else None,
        memory_mib=80,
    )


@pytest.mark.parametrize(
    ("finding", "colour"),
    [
        (doctor.judge_disk("disk", 3 * GIB), Colour.GREEN),
        (doctor.judge_disk("disk", GIB), Colour.YELLOW),
        (doctor.judge_disk("disk", 1000), Colour.RED),
        (doctor.judge_memory(4 * GIB, 0), Colour.GREEN),
        (doctor.judge_memory(GIB, 2 * GIB), Colour.GREEN),
        (doctor.judge_memory(GIB, 0), Colour.YELLOW),
        (doctor.judge_port("kafka", 1, free=True, running=False), Colour.GREEN),
        (doctor.judge_port("kafka", 1, free=False, running=True), Colour.GREEN),
        (doctor.judge_port("kafka", 1, free=False, running=False), Colour.RED),
        (doctor.judge_process(_process(ready=True), LOG), Colour.GREEN),
        (doctor.judge_process(_process(ready=True, deaths=1), LOG), Colour.YELLOW),
        (doctor.judge_process(_process(ready=False), LOG), Colour.RED),
        (doctor.judge_process(_process(ready=False, state="waiting"), LOG), Colour.RED),
        (doctor.judge_phase("serving"), Colour.GREEN),
        (doctor.judge_phase("down"), Colour.YELLOW),
        (doctor.judge_phase("starting"), Colour.YELLOW),
        (doctor.judge_phase("unsupervised"), Colour.RED),
    ],
)
def test_colour_follows_the_rule_and_trouble_names_the_next_step(
    finding: doctor.Finding, colour: Colour
) -> None:
    assert finding.colour == colour
    assert bool(finding.next_step) == (colour != Colour.GREEN)


def test_open_secret_is_red_and_its_chmod_is_named(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "home")
    folder.make()
    choose_ports(folder)
    secret = folder.secrets / "topic-key"
    secret.touch(0o600)
    found = {finding.part: finding for finding in examine(folder)}
    assert found["secrets"].colour == Colour.GREEN
    secret.chmod(0o640)
    (finding,) = (finding for finding in examine(folder) if finding.part == "secrets")
    assert finding.colour == Colour.RED
    assert f"chmod 600 {secret}" in finding.next_step


def test_every_part_has_a_finding_when_nothing_was_ever_started(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "home")
    found = {finding.part: finding.colour for finding in examine(folder)}
    assert {"python", "platform", "java", "parts", "disk", "memory", "supervisor"} <= found.keys()
    assert found["folder"] == Colour.YELLOW
    assert not folder.home.exists()
