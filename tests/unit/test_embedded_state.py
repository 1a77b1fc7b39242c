"""The state folder: modes, secrets made once, files never half written, locks, ports."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from civicbus_deploy.embedded import ground, locks, ports, postgres, secrets, state
from civicbus_deploy.embedded.failures import PortTaken, StackBusy, StateUnreadable
from civicbus_deploy.embedded.machine import User
from civicbus_deploy.embedded.processes import ProcessIdentity, ProcessSpec, RunningProcess
from civicbus_deploy.embedded.roll import Roll
from civicbus_deploy.embedded.state import StateFolder
from structlog.testing import capture_logs

from tests.stack import wait_until


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    """A made, empty state folder."""
    made = StateFolder(tmp_path / "home")
    made.make()
    return made


def test_folders_are_closed_when_they_are_made(folder: StateFolder) -> None:
    assert _mode(folder.home) & 0o066 == 0
    assert {_mode(path) for path in folder.closed_folders} == {0o700}


def test_home_comes_from_option_then_environment_then_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIVICBUS_HOME", str(tmp_path / "env"))
    assert StateFolder.at(tmp_path / "option").home == tmp_path / "option"
    assert StateFolder.at().home == tmp_path / "env"
    monkeypatch.delenv("CIVICBUS_HOME")
    monkeypatch.chdir(tmp_path)
    assert StateFolder.at().home == tmp_path / ".civicbus"


@pytest.mark.parametrize("make", [secrets.password, secrets.hex_key, secrets.ed25519_pem])
def test_secret_is_made_once_with_mode_0600(folder: StateFolder, make: object) -> None:
    old = os.umask(0)
    try:
        path = secrets.get_or_create(folder.home, "one", make)  # type: ignore[arg-type]
    finally:
        os.umask(old)
    first = path.read_bytes()
    assert _mode(path) == 0o600
    assert first.endswith(b"\n")
    assert secrets.get_or_create(folder.home, "one", make) == path  # type: ignore[arg-type]
    assert path.read_bytes() == first
    assert [entry.name for entry in folder.secrets.iterdir()] == ["one"]


def test_one_secret_wins_when_many_make_it_at_once(folder: StateFolder) -> None:
    def read(_turn: int) -> bytes:
        return secrets.get_or_create(folder.home, "raced").read_bytes()

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(read, range(64)))) == 1


def test_key_is_64_hex_characters_when_made(folder: StateFolder) -> None:
    secrets.get_or_create(folder.home, "key", secrets.hex_key)
    assert len(bytes.fromhex(secrets.read(folder.home, "key"))) == 32


def test_old_file_stays_when_the_new_one_cannot_be_written(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder.home / "file"
    state.write_file(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        state.write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert not list(folder.home.glob(".file.*"))


@pytest.mark.parametrize("damaged", ["{", "[]", "\x00"])
def test_damaged_file_is_named_when_it_is_read(folder: StateFolder, damaged: str) -> None:
    folder.stack_file.write_text(damaged)
    with pytest.raises(StateUnreadable, match=r"stack\.json"):
        ground.choose_ports(folder)


def test_folder_of_another_format_is_refused(folder: StateFolder) -> None:
    state.write_json(folder.stack_file, {"format": 99, "ports": {}})
    with pytest.raises(StateUnreadable, match="format 99"):
        ground.choose_ports(folder)


def test_ports_stay_when_they_are_chosen_again(folder: StateFolder) -> None:
    first = ground.choose_ports(folder)
    assert ground.choose_ports(folder) == first == ground.known_ports(folder)
    assert len(set(first.values())) == len(first)
    assert "password" not in folder.stack_file.read_text()


def test_taken_port_is_named_with_its_holder() -> None:
    with socket.socket() as holder:
        holder.bind((ports.HOST, 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port}.*kafka.*process {os.getpid()}"):
            ports.check_free("kafka", port)
    ports.check_free("kafka", port)


_HOLDER = """
import sys
from pathlib import Path
from civicbus_deploy.embedded import locks
with locks.held(Path(sys.argv[1]), what="test", say=print):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_lock_is_refused_while_its_holder_lives_and_free_when_it_was_killed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run" / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    with holder, holder.stdout:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(StackBusy, match=f"process {holder.pid}"),
            locks.held(path, what="up or down", say=str),
        ):
            pytest.fail("two held the lock")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    said: list[str] = []
    with locks.held(path, what="up or down", say=said.append):
        assert path.read_text() == f"{os.getpid()}\n"
    assert said == [f"the lock lock was left by process {holder.pid}, which is dead; taking it"]
    said.clear()
    with locks.held(path, what="up or down", say=said.append):
        assert said == []


def test_roll_finds_what_lives_and_not_who_has_its_pid_now(folder: StateFolder) -> None:
    command = (sys.executable, "-c", "import signal; signal.pause()")
    spec = ProcessSpec(name="sleeper", command=command, log=folder.log("s"), cwd=folder.home)
    process = RunningProcess(spec)
    roll = Roll(folder)
    roll.enter(process)
    mine = ProcessIdentity.of(os.getpid())
    assert mine is not None
    state.write_json(
        folder.run / "roll.json",
        {
            "started": [
                {"name": "stranger", "pid": mine.pid, "started_at": mine.started_at - 5000},
                {
                    "name": "sleeper",
                    "pid": process.pid,
                    "started_at": process.identity.started_at,
                },
            ]
        },
    )
    assert list(roll.living()) == ["sleeper"]
    assert roll.end_living() == ("sleeper",)
    assert process.exit_code() is not None
    assert roll.living() == {}


_ENDS_WHEN_ASKED = """
import pathlib, signal
asked = {signal.SIGUSR1}
signal.pthread_sigmask(signal.SIG_BLOCK, asked)
pathlib.Path("ready").touch()
signal.sigwait(asked)
pathlib.Path("in-order").touch()
"""


def test_an_orphan_ends_by_its_own_signal_when_its_supervisor_is_dead(folder: StateFolder) -> None:
    spec = ProcessSpec(
        name="server",
        command=(sys.executable, "-c", _ENDS_WHEN_ASKED),
        log=folder.log("s"),
        cwd=folder.home,
        stop_signal=signal.SIGUSR1,
    )
    process, roll = RunningProcess(spec), Roll(folder)
    roll.enter(process)
    wait_until((folder.home / "ready").exists, what="its start")
    assert roll.end_living() == ("server",)
    assert process.exit_code() is not None
    assert (folder.home / "in-order").exists()
    assert roll.read() == {}


def test_paused_process_ends_when_it_is_stopped(folder: StateFolder) -> None:
    command = (sys.executable, "-c", "import signal; signal.pause()")
    spec = ProcessSpec(name="paused", command=command, log=folder.log("p"), cwd=folder.home)
    process = RunningProcess(spec)
    process.signal(signal.SIGSTOP)
    process.stop()
    assert process.exit_code() == -signal.SIGTERM


_HEARS_NOTHING = """
import pathlib, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path("ready").touch()
signal.pause()
"""


def test_process_is_killed_and_it_is_logged_when_it_does_not_end(folder: StateFolder) -> None:
    spec = ProcessSpec(
        name="deaf",
        command=(sys.executable, "-c", _HEARS_NOTHING),
        log=folder.log("d"),
        cwd=folder.home,
        stop_timeout_s=0.1,
    )
    process = RunningProcess(spec)
    wait_until((folder.home / "ready").exists, what="its start")
    with capture_logs() as logs:
        process.stop()
    assert process.exit_code() == -signal.SIGKILL
    [said] = logs
    assert (said["log_level"], said["process"], said["waited_s"]) == ("warning", "deaf", 0.1)


def test_postgres_lies_elsewhere_by_id_when_its_user_cannot_enter_the_folder(
    folder: StateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    stranger = User("nobody", 65534, 65534)
    monkeypatch.setattr(postgres, "unprivileged_user", lambda: stranger)
    ground.choose_ports(folder)
    place = postgres.place(folder)
    assert place.parent == postgres.ELSEWHERE
    moved = StateFolder(folder.home.rename(tmp_path / "aside"))
    assert postgres.place(moved) == place
    folder.make()
    ground.choose_ports(folder)
    assert postgres.place(folder) not in {place, folder.home / "postgres"}


def test_postgres_stays_where_its_data_are_when_modes_change(
    folder: StateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.choose_ports(folder)
    (folder.home / "postgres" / "data").mkdir(parents=True)
    tmp_path.chmod(0o700)
    monkeypatch.setattr(postgres, "unprivileged_user", lambda: User("nobody", 65534, 65534))
    assert postgres.place(folder) == folder.home / "postgres"
