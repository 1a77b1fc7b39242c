"""`civicbus-audit` as people call it: what it prints, what it exits with, and what it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from civicbus_audit.cli import app
from civicbus_audit.cosignature import CosignatureSigner
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.policy import format_policy
from civicbus_audit.quorum import Group, Log, Policy, Witness
from civicbus_audit.sealer import Sealer
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.record import record_id
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from tests.fakes.pages import PUBLIC_KEYS, FakeRecorder, decision, messages

ORIGIN = "civicbus.local/audit"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
RECORDER = RecorderId("a" * 32)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder with a ledger of two pages, and a checkpoint kept after the first."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/ledger.vkey").write_text(f"{SIGNER.verifier}\n")
    recorder = FakeRecorder(RECORDER)
    pages = [recorder.write(decision(), decision()), recorder.write(decision())]
    with Ledger.open(tmp_path / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
        sealer = Sealer(ledger, keys=PUBLIC_KEYS)
        sealer.seal(messages(pages[0]))
        (tmp_path / "older").write_bytes((tmp_path / "ledger/checkpoint").read_bytes())
        sealer.seal(messages(pages[1], start=1))
    return tmp_path


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--home", str(home)])


def test_verify_says_that_the_ledger_holds_when_it_does(home: Path) -> None:
    result = run(home, "verify")
    assert result.exit_code == 0
    assert result.stdout == (
        "The ledger holds: 5 leaves lead to the root signed by civicbus.local/audit.\n"
    )
    vietnamese = run(home, "verify", "--lang", "vi").stdout
    assert vietnamese == "Sổ cái toàn vẹn: 5 lá dẫn đến gốc do civicbus.local/audit ký.\n"


def test_verify_demands_the_quorum_when_a_policy_is_there(home: Path) -> None:
    """The folder's policy counts by itself; a key that is named instead does not ask witnesses."""
    witnesses = [
        CosignatureSigner(f"{n}.example/w", Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32))
        for n in (1, 2)
    ]
    policy = Policy(
        logs=(Log(verifier=SIGNER.verifier),),
        witnesses=tuple(Witness(name=w.cosigner.name, cosigner=w.cosigner) for w in witnesses),
        groups=(Group(name="both", threshold=2, members=("1.example/w", "2.example/w")),),
        quorum="both",
    )
    (home / "keys/audit-policy").write_bytes(format_policy(policy))
    refused = run(home, "verify")
    assert (refused.exit_code, "too few witnesses" in refused.stderr) == (1, True)
    assert run(home, "prove", "0", "-o", str(home / "p")).exit_code == 1
    assert run(home, "verify", "--vkey", str(home / "keys/ledger.vkey")).exit_code == 0
    checkpoint = home / "ledger/checkpoint"
    note = checkpoint.read_bytes()
    text = note.decode().partition("\n\n")[0] + "\n"
    lines = "".join(str(witness.cosign(text, at_s=7)) for witness in witnesses)
    checkpoint.write_bytes(note + lines.encode())
    told = json.loads(run(home, "verify", "--older", str(home / "older"), "--json").stdout)
    times = dict.fromkeys(("1.example/w", "2.example/w"), "1970-01-01T00:00:07+00:00")
    assert (told["older_size"], told["cosigned_at"]) == (3, times)
    assert (
        "1.example/w cosigned its newest checkpoint at 1970-01-01 0" in run(home, "verify").stdout
    )
    assert run(home, "prove", "0", "-o", str(home / "p")).exit_code == 0
    assert run(home, "verify", "--proof", str(home / "p")).exit_code == 0
    missing = run(home, "verify", "--policy", str(home / "nothing"))
    assert (missing.exit_code, "--policy" in missing.stderr) == (2, True)


def test_verify_tells_the_same_as_json_when_asked(home: Path) -> None:
    result = run(home, "verify", "--json", "--older", str(home / "older"))
    told = json.loads(result.stdout)
    assert (told["holds"], told["size"], told["older_size"]) == (True, 5, 3)


def test_verify_exits_with_1_and_names_the_leaf_when_a_byte_was_changed(home: Path) -> None:
    path = home / "ledger/tile/entries/000.p/5"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    result = run(home, "verify")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "leaf 4 in tile/entries/000.p/5" in result.stderr
    told = json.loads(run(home, "verify", "--json").stdout)
    assert told["holds"] is False


def test_verify_exits_with_2_or_3_when_key_or_ledger_is_not_there(home: Path) -> None:
    missing = run(home, "verify", "--vkey", str(home / "nowhere"))
    assert missing.exit_code == 2
    assert "--vkey" in missing.stderr
    assert run(home, "verify", str(home / "keys")).exit_code == 3
    assert run(home, "verify", "--proof", "x", "--older", "y").exit_code == 2
    assert run(home, "verify", "--older", str(home / "nowhere")).exit_code == 2


def test_a_proof_holds_offline_when_it_was_written(home: Path, tmp_path: Path) -> None:
    id_ = record_id(RECORDER, page=1, index=0)
    file = tmp_path / "x.tlog-proof"
    assert run(home, "prove", id_, "-o", str(file)).exit_code == 0
    told = json.loads(run(home, "prove", "4", "-o", str(file), "--json").stdout)
    assert told == {"file": str(file), "index": 4, "size": 5}
    result = run(home, "verify", "--proof", str(file))
    assert result.exit_code == 0
    assert "this is leaf 4 of 5" in result.stdout
    assert "health-insurance.enrol-child" in result.stdout
    record = json.loads(run(home, "verify", "--proof", str(file), "--json").stdout)["record"]
    assert (record["id"], record["recipient"]) == (id_, "vss")
    assert run(home, "prove", id_, "-o", "-").stdout_bytes == file.read_bytes()


def test_verify_exits_with_1_when_a_proof_was_changed(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.tlog-proof"
    run(home, "prove", "1", "-o", str(file))
    file.write_bytes(file.read_bytes().replace(b"index 1", b"index 2"))
    assert run(home, "verify", "--proof", str(file)).exit_code == 1


@pytest.mark.parametrize("name", ["f" * 32, "5", "XYZ", "-1", "../../etc/passwd"])
def test_prove_exits_with_2_when_there_is_no_such_record(home: Path, name: str) -> None:
    assert run(home, "prove", "--", name).exit_code == 2


def test_searching_exits_with_2_when_the_question_is_malformed(home: Path) -> None:
    dsn = home / "dsn"
    dsn.write_text("postgresql://nobody:x@127.0.0.1:1/none")
    for question in [
        ("--since", "yesterday"),
        ("--subject", "xyz"),
        ("--officer", "o-1"),
        ("--agency", "No Agency"),
        ("--limit", "0"),
        ("--decision", "maybe"),
        ("--pin", "123"),
    ]:
        assert run(home, "search", *question, "--dsn-file", str(dsn)).exit_code == 2
    assert run(home, "search", "--dsn-file", str(dsn)).exit_code == 3
    assert run(home, "search", "--dsn-file", str(home / "nowhere")).exit_code == 2


def test_a_pin_is_not_repeated_when_it_is_malformed(home: Path) -> None:
    (home / "secrets").mkdir()
    (home / "secrets/vault-key").write_text("00" * 32)
    result = run(home, "who-read", "00132401234X")
    assert result.exit_code == 2
    assert "00132401234X" not in result.output


def test_sealing_goes_on_exactly_once_when_the_state_was_lost_and_rebuilt(home: Path) -> None:
    state = home / "ledger/state.json"
    before = json.loads(state.read_bytes())
    assert run(home, "rebuild-state").exit_code == 2  # it is there
    state.unlink()
    told = json.loads(run(home, "rebuild-state", "--json").stdout)
    assert told == {"size": 5, "recorders": 1, "position": 0}
    memory = json.loads(state.read_bytes())["memory"]
    assert memory["chains"] == before["memory"]["chains"]
    assert memory["committed"] == {"first": 0, "period": None}  # no commit told it, pages will
    recorder = FakeRecorder(RECORDER)
    pages = [recorder.write(decision(), decision()), recorder.write(decision()), recorder.write()]
    with Ledger.open(home / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
        sealed = Sealer(ledger, keys=PUBLIC_KEYS).seal(messages(*pages))
    assert (sealed.duplicates, sealed.leaves, sealed.checkpoint.size) == (2, 1, 6)
    assert run(home, "verify").exit_code == 0


WITHOUT_EXTRA = """
import sys
for name in ["sqlalchemy", "psycopg", "alembic"]:
    sys.modules[name] = None
from civicbus_audit.cli import app
app(sys.argv[1:])
"""


@pytest.mark.parametrize(("command", "code"), [("verify", 0), ("prove", 0), ("rebuild-index", 2)])
def test_only_the_index_needs_the_extra_when_it_is_not_installed(
    home: Path, command: str, code: int
) -> None:
    arguments = ["3", "-o", str(home / "proof")] if command == "prove" else []
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA, command, *arguments, "--home", str(home)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert ("civicbus-audit[ledger]" in done.stderr) == (code == 2)
