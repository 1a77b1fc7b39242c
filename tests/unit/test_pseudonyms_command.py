"""`civicbus pseudonyms`: a key for each recipient, a new one, and the end of the former."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from civicbus_deploy import cli
from civicbus_deploy.embedded import ground, keys, own, pseudonyms
from civicbus_deploy.embedded.examination import examine
from civicbus_deploy.embedded.state import StateFolder
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.keyring import PairwiseKeys, encode_keyring, parse_keyring
from typer.testing import CliRunner

NOW = datetime(2026, 11, 22, 7, tzinfo=UTC)
VSS, BANK = AgencyId("vss"), AgencyId("bank")
MONTH = timedelta(days=30)


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    """A folder whose stack is down, with keys for two recipients."""
    made = StateFolder(tmp_path / "home")
    made.make()
    ground.choose_ports(made)
    keys.make_keys(made)
    pseudonyms.complete(made, [VSS, BANK])
    return made


def run(*arguments: object) -> str:
    result = CliRunner().invoke(cli.app, ["pseudonyms", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0
    assert result.stderr == ""
    return result.stdout


def listed(folder: StateFolder) -> dict[str, tuple[int, bool]]:
    """Per recipient its epoch, and whether it is told both pseudonyms."""
    rows = json.loads(run("list", "--json", "--home", folder.home))["recipients"]
    return {row["recipient"]: (row["epoch"], row["told_until"] is not None) for row in rows}


def test_each_recipient_has_a_key_of_its_own_when_it_is_provisioned(folder: StateFolder) -> None:
    before = pseudonyms.read_keyring(folder)
    assert before[VSS].key != before[BANK].key
    pseudonyms.complete(folder, [VSS, BANK, AgencyId("moh")])
    after = pseudonyms.read_keyring(folder)
    assert (after[VSS], after[BANK], len(after)) == (before[VSS], before[BANK], 3)
    assert stat.S_IMODE(pseudonyms.keyring_file(folder).stat().st_mode) == 0o600


def test_one_recipients_key_is_new_and_the_former_kept_when_it_is_rotated(
    folder: StateFolder,
) -> None:
    before = pseudonyms.read_keyring(folder)
    said = run("rotate", "vss", "--overlap-days", "30", "--home", folder.home)
    after = pseudonyms.read_keyring(folder)
    assert after[BANK] == before[BANK]
    assert (after[VSS].epoch, after[VSS].former) == (2, before[VSS].key)
    assert after[VSS].key not in {before[VSS].key, before[BANK].key}
    assert listed(folder) == {"bank": (1, False), "vss": (2, True)}
    shown = said + run("list", "--home", folder.home)
    for held in (before[VSS], after[VSS]):
        assert held.key.hex() not in shown
        assert held.key.hex() not in repr(held)


def test_no_file_holds_the_former_key_when_it_was_retired(folder: StateFolder) -> None:
    former = pseudonyms.read_keyring(folder)[VSS].key
    run("rotate", "vss", "--home", folder.home)
    assert "no former key is due" in run("retire", "--home", folder.home)
    assert "vss" in run("retire", "vss", "--now", "--home", folder.home)
    assert listed(folder) == {"bank": (1, False), "vss": (2, False)}
    files = [path for path in folder.home.rglob("*") if path.is_file()]
    assert not [path for path in files if former.hex().encode() in path.read_bytes()]


def test_former_keys_are_destroyed_when_their_overlap_is_over(folder: StateFolder) -> None:
    pseudonyms.rotate(folder, VSS, overlap=MONTH, at=NOW)
    assert pseudonyms.retire(folder, at=NOW + MONTH - timedelta(seconds=1)) == ()
    assert pseudonyms.retire(folder, at=NOW + MONTH) == (VSS,)
    assert pseudonyms.read_keyring(folder)[VSS].former is None


def test_a_second_rotation_is_refused_when_an_overlap_lasts(folder: StateFolder) -> None:
    pseudonyms.rotate(folder, VSS, overlap=MONTH, at=NOW)
    before = pseudonyms.read_keyring(folder)
    with pytest.raises(Refused, match="still in use"):
        pseudonyms.rotate(folder, VSS, overlap=MONTH, at=NOW + timedelta(days=1))
    assert pseudonyms.read_keyring(folder) == before
    pseudonyms.rotate(folder, BANK, overlap=MONTH, at=NOW)
    assert pseudonyms.rotate(folder, VSS, overlap=MONTH, at=NOW + MONTH).epoch == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("rotate", "nobody"),
        ("rotate", "vss", "--overlap-days", "0"),
        ("retire", "nobody", "--now"),
        ("retire", "--now"),
        ("retire", "vss"),
    ],
)
def test_nothing_changes_when_a_command_is_refused(
    folder: StateFolder, arguments: tuple[str, ...]
) -> None:
    before = pseudonyms.keyring_file(folder).read_bytes()
    with pytest.raises(Refused):
        run(*arguments, "--home", folder.home)
    assert pseudonyms.keyring_file(folder).read_bytes() == before


def test_a_folder_without_a_stack_is_refused_when_a_key_is_to_be_rotated(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no stack here"):
        run("rotate", "vss", "--home", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_enforcement_alone_starts_anew_when_a_key_is_rotated(folder: StateFolder) -> None:
    """The supervisor starts a process anew when the fingerprint of what it reads is another."""

    def fingerprints() -> dict[str, str]:
        ports = ground.choose_ports(folder)
        return {s.name: s.fingerprint for s in own.write_settings(folder, ports)}

    before = fingerprints()
    pseudonyms.rotate(folder, VSS, overlap=MONTH, at=NOW)
    after = fingerprints()
    assert {name for name in before if before[name] != after[name]} == set(own.ENFORCEMENT)


def test_doctor_says_what_to_do_when_a_former_key_is_due(folder: StateFolder) -> None:
    def found() -> tuple[str, str]:
        [finding] = [f for f in examine(folder) if f.part == "pairwise keys"]
        return finding.colour, finding.next_step

    assert found() == ("green", "")
    pseudonyms.rotate(folder, VSS, overlap=MONTH, at=datetime.now(UTC) - MONTH)
    assert found() == ("yellow", "civicbus pseudonyms retire")
    run("retire", "--home", folder.home)
    assert found() == ("green", "")
    pseudonyms.keyring_file(folder).write_text("{")
    assert found()[0] == "red"


SPOILT = {
    "no JSON": "vss",
    "no object": "[]",
    "a text for keys": '{"vss": "00"}',
    "a key missing": '{"vss": {"epoch": 1, "key": null, "former": null, "told_until": null}}',
    "a short key": '{"vss": {"epoch": 1, "key": "00", "former": null, "told_until": null}}',
    "a former key for ever": json.dumps(
        {"vss": {"epoch": 2, "key": "00" * 32, "former": "11" * 32, "told_until": None}}
    ),
    "an end without its zone": json.dumps(
        {"vss": {"epoch": 2, "key": "00" * 32, "former": "11" * 32, "told_until": "2026-11-22"}}
    ),
}


@pytest.mark.parametrize("text", SPOILT.values(), ids=SPOILT)
def test_a_keyring_is_refused_and_not_shown_when_it_is_spoilt(text: str) -> None:
    with pytest.raises(Refused, match="malformed") as caught:
        parse_keyring(text)
    assert "11" * 32 not in str(caught.value)


def test_a_keyring_comes_back_the_same_when_it_was_written() -> None:
    keyring = {
        VSS: PairwiseKeys(key=b"k" * 32).rotated(b"n" * 32, until=NOW + MONTH, at=NOW),
        BANK: PairwiseKeys(key=b"b" * 32),
    }
    assert parse_keyring(encode_keyring(keyring).decode()) == keyring
