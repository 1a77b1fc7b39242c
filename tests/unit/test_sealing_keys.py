"""The file of recorder keys: what is read of it, what is refused, and when it is read anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from civicbus_audit.sequencing import RecorderKey
from civicbus_consumers.consent.registry.wiring import process_of
from civicbus_consumers.officers.app import orders_of
from civicbus_consumers.sealing.settings import RecorderKeys
from civicbus_deploy.embedded import keys, own
from civicbus_deploy.embedded.state import StateFolder, write_json
from civicbus_deploy.oversight import acting
from civicbus_deploy.provisioning import announcing
from civicbus_producers.settings import InvalidSettings
from civicbus_schemas.page import key_id
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes.pages import bound, keys_document

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x05")
PUBLIC = SIGNER.public_key().public_bytes_raw()
ID = key_id(PUBLIC)
GOOD = {"public_key": PUBLIC.hex(), "processes": ["lookup", "lookup-consents"]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "recorders.json"


def test_each_key_has_its_names_when_the_file_is_read(file: Path) -> None:
    write_json(file, {ID: GOOD})
    names = frozenset({"lookup", "lookup-consents"})
    assert dict(RecorderKeys(file)) == {ID: RecorderKey(public_key=PUBLIC, processes=names)}


def test_a_file_from_before_names_were_bound_is_refused_with_the_next_step(file: Path) -> None:
    write_json(file, {ID: PUBLIC.hex()})
    with pytest.raises(InvalidSettings, match="without the names") as refused:
        RecorderKeys(file)
    assert "civicbus up" in str(refused.value)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param([], id="no-object"),
        pytest.param({ID: None}, id="no-entry"),
        pytest.param({ID: {"public_key": PUBLIC.hex()}}, id="names-missing"),
        pytest.param({ID: {"processes": ["lookup"]}}, id="key-missing"),
        pytest.param({ID: GOOD | {"process": "lookup"}}, id="one-member-more"),
        pytest.param({ID: GOOD | {"processes": []}}, id="no-name"),
        pytest.param({ID: GOOD | {"processes": [""]}}, id="empty-name"),
        pytest.param({ID: GOOD | {"processes": "lookup"}}, id="names-are-a-text"),
        pytest.param({ID: GOOD | {"processes": {"lookup": 1}}}, id="names-are-an-object"),
        pytest.param({ID: GOOD | {"processes": ["lookup", 1]}}, id="name-is-a-number"),
        pytest.param({ID: GOOD | {"processes": ["lookup", "lookup"]}}, id="name-twice"),
        pytest.param({ID: GOOD | {"public_key": 1}}, id="key-is-a-number"),
        pytest.param({ID: GOOD | {"public_key": "xy"}}, id="key-is-no-hex"),
        pytest.param({ID: GOOD | {"public_key": PUBLIC.hex()[:-2]}}, id="key-is-short"),
        pytest.param({ID: GOOD | {"public_key": "11" * 32}}, id="another-key"),
        pytest.param({"00" * 8: GOOD}, id="another-id"),
    ],
)
def test_a_file_is_refused_when_it_is_malformed(file: Path, document: object) -> None:
    write_json(file, document)
    with pytest.raises(InvalidSettings, match=r"recorders\.json"):
        RecorderKeys(file)


def test_what_was_added_or_taken_away_counts_when_the_file_was_replaced(file: Path) -> None:
    """A name added late would leave honest pages set aside; one taken away must write no more."""
    write_json(file, {})
    found = RecorderKeys(file)
    assert found.get(ID) is None
    for names in (["lookup"], ["lookup", "lookup-consents"], ["lookup-consents"]):
        write_json(file, {ID: GOOD | {"processes": names}})
        assert found[ID].processes == frozenset(names)
    write_json(file, {})
    assert found.get(ID) is None


def test_nothing_is_answered_when_the_file_is_gone_or_spoilt(file: Path) -> None:
    write_json(file, {ID: GOOD})
    found = RecorderKeys(file)
    file.unlink()
    with pytest.raises(InvalidSettings, match="cannot be read"):
        found.get(ID)
    file.write_text("{")
    with pytest.raises(InvalidSettings, match="cannot be read"):
        found.get(ID)


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path / "home")
    made.make()
    return made


def test_every_process_of_the_stack_writes_under_names_of_its_own_key(folder: StateFolder) -> None:
    """The table is held against the names as the processes make them."""
    keys.make_keys(folder)
    own.write_settings(folder, dict.fromkeys((*own.PORTS, "kafka", "registry", "otlp"), 1))
    written: dict[str, set[str]] = {
        **{name: {name} for name in own.ENFORCEMENT},
        "lookup": {"lookup", process_of("lookup")},
        "officers": {"officers", orders_of("officers")},
        "flags": {"flags"},
        announcing.PROCESS: {announcing.PROCESS},
        acting.PROCESS: {acting.PROCESS},
    }
    assert {signer: set(names) for signer, names in keys.RECORDERS.items()} == written
    signing = {
        path.stem
        for path in folder.processes.glob("*.json")
        if "signing_key_file" in json.loads(path.read_text())
    }
    assert signing == set(written) - {announcing.PROCESS, acting.PROCESS}
    found = RecorderKeys(keys.recorder_keys_file(folder))
    assert sorted(sorted(key.processes) for key in found.values()) == sorted(
        sorted(names) for names in written.values()
    )


def test_no_name_is_of_two_keys() -> None:
    names = [name for bound_names in keys.RECORDERS.values() for name in bound_names]
    assert sorted(names) == sorted(set(names))


def test_a_folder_of_before_is_read_when_up_has_made_the_keys_that_are_missing(
    folder: StateFolder,
) -> None:
    keys.make_keys(folder)
    file = keys.recorder_keys_file(folder)
    now = json.loads(file.read_text())
    write_json(file, {id_: entry["public_key"] for id_, entry in now.items()})
    with pytest.raises(InvalidSettings, match="without the names"):
        RecorderKeys(file)
    keys.make_keys(folder)
    assert json.loads(file.read_text()) == now


def test_the_tests_own_file_is_of_the_same_form(file: Path) -> None:
    mine = bound(SIGNER, "enforce-0")
    write_json(file, keys_document(mine))
    assert dict(RecorderKeys(file)) == mine
