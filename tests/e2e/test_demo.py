"""`civicbus demo` as its user runs it: the whole story on real servers, and an honest exit code."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from civicbus_deploy.embedded import ground, lifecycle, postgres
from civicbus_deploy.embedded.roll import Roll
from civicbus_deploy.embedded.servers import Servers
from civicbus_deploy.embedded.state import StateFolder
from rich.console import Console

pytestmark = pytest.mark.broker

REFUSED = 3
BEGINNING = "A child is born"  # the first chapter: the stack is up
COUNTS = {
    "published", "permitted", "denied", "delivered", "dead_lettered", "lookups", "lookups_refused",
    "records", "leaves", "checkpoint_size", "view_persons",
}  # fmt: skip
CHECKS = {
    "birth_reaches_who_may_have_it", "bank_answered_only_on_consent", "proof_holds_offline",
    "every_reading_of_the_child_is_found", "changed_byte_is_caught", "nothing_lost",
    "nothing_duplicated", "nothing_unrecorded", "recorded_before_delivered",
    "every_record_is_a_leaf", "nothing_released_after_a_fence", "view_equals_its_rebuild",
    "delivered_bytes_equal_the_oracle", "ledger_verifies", "no_record_behind_a_fence_is_older",
    "agreement_binds_when_two_have_signed", "rule_forbids_what_an_agreement_names",
    "consent_for_one_time_is_used_once", "broken_glass_is_told_and_reviewed",
    "citizen_sees_who_read_about_her", "checkpoint_is_cosigned", "bundle_verifies_alone",
    "edited_bundle_is_caught",
}  # fmt: skip


def command_line(home: Path, *, persons: int, events: int) -> list[str]:
    """The command of a demo in this folder."""
    civicbus = str(Path(sys.executable).with_name("civicbus"))
    size = ["--persons", str(persons), "--events", str(events)]
    return [civicbus, "demo", "--json", "--home", str(home), *size]


def play(home: Path, *, persons: int, events: int) -> subprocess.CompletedProcess[str]:
    """Run it to its end; its last line is one JSON object."""
    command = command_line(home, persons=persons, events=events)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder for the state; whatever a failed demo leaves running is ended."""
    with TemporaryDirectory(prefix="civicbus-demo-") as folder:
        yield Path(folder) / "state"
        for left in map(StateFolder, Path(folder).iterdir()):
            lifecycle.down(left, say=print)
            shutil.rmtree(postgres.place(left), ignore_errors=True)


@pytest.fixture(scope="module")
def played(home: Path) -> subprocess.CompletedProcess[str]:
    """The first demo in that folder."""
    return play(home, persons=60, events=400)


@pytest.fixture(scope="module")
def totals(played: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What its last line says."""
    assert played.returncode == 0, played.stderr[-4000:]
    found: dict[str, Any] = json.loads(played.stdout.splitlines()[-1])
    return found


def test_every_check_holds_and_the_exit_code_says_so_when_the_demo_is_played(
    played: subprocess.CompletedProcess[str], totals: dict[str, Any]
) -> None:
    """A worker is killed in mid-batch, a bank refused, a byte changed: and all checks hold."""
    assert totals["checks"] == dict.fromkeys(CHECKS, True)
    assert "was killed after" in played.stderr
    assert "lost 0, duplicated 0, unrecorded 0" in played.stderr


def test_totals_are_whole_and_agree_when_they_are_printed_as_json(totals: dict[str, Any]) -> None:
    """The keys that others rely on; counts that must agree do."""
    assert set(totals) == COUNTS | {"checks", "events_per_second"}
    assert all(isinstance(totals[name], int) for name in COUNTS)
    assert totals["published"] >= 400
    assert totals["delivered"] > totals["published"] / 4
    assert totals["leaves"] == totals["checkpoint_size"] > totals["records"]
    assert totals["records"] >= totals["permitted"] + totals["denied"]
    assert (totals["lookups"], totals["lookups_refused"]) == (10, 6)
    assert totals["view_persons"] >= 60
    assert totals["events_per_second"] > 0


@contextmanager
def vault_of(home: Path) -> Iterator[None]:
    """The vault's database runs while the body does, and nothing else."""
    console, names = Console(stderr=True), ("postgres",)
    site = ground.prepare(StateFolder(home), names=names, console=console, say=console.print)
    servers = Servers(site, names)
    servers.start()
    try:
        yield
    finally:
        servers.stop()


def test_every_decision_is_the_same_when_it_is_replayed_from_ledger_and_set(
    totals: dict[str, Any], home: Path
) -> None:
    """The bus is down; every set that was announced lies beside the signatures."""
    civicbus, sets = str(Path(sys.executable).with_name("civicbus")), home / "policy" / "sets"
    command = [civicbus, "replay", "--home", str(home), "--sets", str(sets), "--json"]
    with vault_of(home):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["findings"] == {"same": told["decisions"]}
    assert told["decisions"] >= totals["permitted"] + totals["denied"] > 0


def test_nothing_runs_when_the_demo_has_ended_without_a_terminal(
    totals: dict[str, Any], home: Path
) -> None:
    """It stops what it started; the state stays."""
    assert totals
    assert Roll(StateFolder(home)).living() == {}
    assert (home / "ledger" / "checkpoint").exists()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A child of this test can be interrupted, also where the run itself began in the background.

    There SIGINT is ignored, which children inherit; a handler of ours they do not.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_former_state_is_set_aside_when_the_demo_is_played_again(
    totals: dict[str, Any], home: Path
) -> None:
    """The second demo has begun in an empty folder, and stops what runs when it is interrupted."""
    assert totals
    ledger = (home / "ledger" / "checkpoint").read_bytes()
    command = command_line(home, persons=10, events=100)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as again:
        assert again.stderr is not None
        assert any(BEGINNING in line for line in again.stderr), "it ended before it had begun"
        again.send_signal(signal.SIGINT)
        rest = again.stderr.read()
    assert again.returncode != 0, rest
    assert Roll(StateFolder(home)).living() == {}
    [aside] = home.parent.glob("state.*")
    assert (aside / "ledger" / "checkpoint").read_bytes() == ledger


def test_foreign_state_is_refused_and_left_alone_when_the_demo_is_to_play_in_it(
    tmp_path: Path,
) -> None:
    """A folder that is not a former demo's is nobody's to set aside."""
    (tmp_path / "stack.json").write_text("{}")
    refused = play(tmp_path, persons=10, events=100)
    assert refused.returncode == REFUSED, refused.stderr[-2000:]
    assert "not a former demo's" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["stack.json"]
