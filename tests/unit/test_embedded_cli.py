"""`civicbus`: data on stdout, narration on stderr, exit codes; what needs no server."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from civicbus_deploy import cli
from civicbus_deploy.embedded import ground, keys, lifecycle, machine, own, secrets, witnesses
from civicbus_deploy.embedded.failures import (
    ChecksumMismatch,
    DiskFull,
    NoNetwork,
    PortTaken,
    UnknownAgency,
    UnsupportedPlatform,
)
from civicbus_deploy.embedded.state import StateFolder, write_json
from civicbus_schemas.errors import InvalidIdentifier, Misused
from typer.testing import CliRunner

ENV_KEYS = {
    "bootstrap",
    "security_protocol",
    "sasl_mechanism",
    "admin_user",
    "admin_secret_file",
    "registry_url",
    "postgres_dsn_file",
    "ledger_dir",
    "ledger_vkey_file",
    "audit_policy_file",
    "lookup_url",
    "proofs_url",
    "mirror_token_file",
    "officers_url",
    "zipkin_url",
    "home",
}


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    """A folder in which a stack once was, now down, with one agency."""
    made = StateFolder(tmp_path / "home")
    made.make()
    ground.choose_ports(made)
    write_json(made.agencies / "moj.json", {"agency": "moj", "families_published": ["identity"]})
    return made


def _run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_env_names_everything_and_no_secret_when_the_stack_is_down(folder: StateFolder) -> None:
    keys.make_keys(folder)
    code, out, err = _run("env", "--json", "--home", folder.home)
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert found.keys() == ENV_KEYS
    for file in folder.secrets.iterdir():
        assert file.read_text().strip() not in out
    assert Path(found["ledger_vkey_file"]).read_text().startswith("civicbus.local/audit+")


def test_env_is_lines_of_key_and_value_when_no_json_is_asked(folder: StateFolder) -> None:
    _, out, _ = _run("env", "--home", folder.home)
    assert dict(line.split("=", 1) for line in out.splitlines()).keys() == ENV_KEYS


def test_agency_gets_its_own_connection(folder: StateFolder) -> None:
    _, out, _ = _run("env", "--json", "--agency", "moj", "--home", folder.home)
    assert json.loads(out) == {"agency": "moj", "families_published": ["identity"]}


@pytest.mark.parametrize("agency", ["nobody", "../stack", ""])
def test_unknown_agency_is_refused_and_the_known_ones_are_named(
    folder: StateFolder, agency: str
) -> None:
    with pytest.raises(UnknownAgency, match="expected moj"):
        _run("env", "--agency", agency, "--home", folder.home)


def test_status_says_down_and_exits_5_when_the_stack_is_down(folder: StateFolder) -> None:
    code, out, _ = _run("status", "--json", "--home", folder.home)
    assert code == cli.UNHEALTHY
    assert json.loads(out)["phase"] == "down"


def test_down_says_that_nothing_ran_when_nothing_ran(folder: StateFolder) -> None:
    code, out, err = _run("down", "--home", folder.home)
    assert (code, out, err) == (0, "", "nothing was running\n")


def test_command_without_a_stack_exits_3_and_names_the_next_step(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from civicbus_deploy.cli import main; main()"]
    done = subprocess.run(
        [*command, "env", "--home", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == cli.REFUSED
    assert done.stdout == ""
    assert "Next: civicbus up" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidIdentifier("x"), 2),
        (Misused("x"), 2),
        (PortTaken("x"), 3),
        (NoNetwork("x"), 4),
        (ChecksumMismatch("x"), 1),
    ],
)
def test_exit_code_tells_what_kind_of_error_it_was(error: Exception, code: int) -> None:
    assert cli.exit_code_of(error) == code  # type: ignore[arg-type]


def test_a_command_says_nothing_of_its_connections_when_they_are_in_trouble() -> None:
    noise = "logging.getLogger('civicbus.kafka').warning('oversight: _TRANSPORT')"
    script = f"import logging; from civicbus_deploy import cli; cli.app = lambda **_: {noise}"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}; cli.main()"], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(("system", "hardware"), [("darwin", "arm64"), ("linux", "aarch64")])
def test_platform_is_refused_before_anything_is_written_when_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, hardware: str
) -> None:
    monkeypatch.setattr(machine.sys, "platform", system)  # type: ignore[attr-defined]
    monkeypatch.setattr("platform.machine", lambda: hardware)
    with pytest.raises(UnsupportedPlatform, match=f"got {system} {hardware}"):
        _run("up", "--home", tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_full_disk_is_named_before_anything_is_fetched_or_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "free_bytes", lambda _folder: 1000)
    with pytest.raises(DiskFull, match="choose another place with --home"):
        _run("up", "--home", tmp_path / "home")
    assert not StateFolder(tmp_path / "home").exists


_HELP = """
import atexit, sys
from civicbus_deploy.cli import main
heavy = {"faust", "psycopg", "sqlalchemy", "confluent_kafka", "jgo"}
atexit.register(lambda: print("imported:", sorted(heavy & {*sys.modules})))
main()
"""


def test_no_server_library_is_imported_when_help_is_shown() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HELP, "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("imported: []\n")
    assert all(name in done.stdout for name in cli.MOUNTED)


@pytest.mark.parametrize("name", cli.MOUNTED)
def test_command_of_a_member_is_its_own_when_it_is_called(name: str) -> None:
    code, out, _ = _run(name, "--help")
    assert code == 0
    assert f"civicbus {name}" in out or f"root {name}" in out


def test_settings_of_own_processes_name_secrets_and_hold_none(folder: StateFolder) -> None:
    keys.make_keys(folder)
    specs = own.write_settings(folder, ground.known_ports(folder))
    assert [spec.name for spec in specs] == [*own.ROOMS, own.PROOFS, *witnesses.WITNESSES]
    texts = [path.read_text() for path in folder.processes.iterdir()]
    for file in folder.secrets.iterdir():
        assert not [text for text in texts if file.read_text().strip() in text]
    assert own.write_settings(folder, ground.known_ports(folder)) == specs
    assert own.specs_of(json.loads(json.dumps(own.plan_of(specs)))) == specs


def test_reference_of_flags_is_made_once_and_not_again_when_it_has_vanished(
    folder: StateFolder,
) -> None:
    keys.make_keys(folder)
    own.write_settings(folder, ground.known_ports(folder))
    reference = folder.home / "flags" / "reference.json"
    assert json.loads(reference.read_text()) == {}
    reference.unlink()
    own.write_settings(folder, ground.known_ports(folder))
    assert not reference.exists()


def test_policy_of_witnesses_is_named_once_when_a_process_believes_the_ledger(
    folder: StateFolder,
) -> None:
    keys.make_keys(folder)
    specs = {spec.name: spec for spec in own.write_settings(folder, ground.known_ports(folder))}
    policy = str(witnesses.policy_file(folder))
    assert [(a, b) for a, b in pairwise(specs[own.PROOFS].command) if a == "--policy"] == [
        ("--policy", policy)
    ]
    officers = json.loads((folder.processes / "officers.json").read_text())
    assert officers["witness_policy_file"] == policy


def test_who_reads_tokens_starts_anew_when_an_agency_comes_and_else_goes_on(
    folder: StateFolder,
) -> None:
    def provisioned(*agencies: str) -> dict[str, str]:
        """The fingerprints after `up` has published the keys of these agencies."""
        for agency in agencies:
            secrets.get_or_create(folder.home, f"token-{agency}.pem", secrets.ed25519_pem)
        keys.publish_agency_keys(folder)
        specs = own.write_settings(folder, ground.known_ports(folder))
        return {spec.name: spec.fingerprint for spec in specs}

    keys.make_keys(folder)
    before = provisioned("moj", "vneid")
    assert provisioned("moj", "vneid") == before
    after = provisioned("bank", "moj", "vneid")
    assert {name for name in before if before[name] != after[name]} == {"lookup", "officers"}


def test_officers_process_alone_starts_anew_when_who_vouches_for_officers_changes(
    folder: StateFolder,
) -> None:
    def fingerprints() -> dict[str, str]:
        specs = own.write_settings(folder, ground.known_ports(folder))
        return {spec.name: spec.fingerprint for spec in specs}

    keys.make_keys(folder)
    keys.publish_issuers(folder, ("moj",))
    before = fingerprints()
    keys.publish_issuers(folder, ("moj", keys.INSPECTORS))
    after = fingerprints()
    assert {name for name in before if before[name] != after[name]} == {"officers"}
