"""Proofs over HTTP: what is served is what verifies, and every other spelling is refused."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from civicbus_audit.canonical import parse_hash
from civicbus_audit.checkpoint import open_checkpoint
from civicbus_audit.directory import read_below
from civicbus_audit.ledger import Ledger
from civicbus_audit.merkle import CompactRange, leaf_hash, verify_consistency
from civicbus_audit.note import Signer
from civicbus_audit.proof import parse_proof
from civicbus_audit.sealer import Sealer
from civicbus_audit.serving import answers
from civicbus_audit.serving.answers import Answering
from civicbus_audit.serving.questions import Problem, parse_target
from civicbus_audit.serving.server import ProofServer, listen, read_token
from civicbus_audit.stored import StoredLog
from civicbus_audit.tiles import Tile, decode_bundle
from civicbus_audit.verify import verify_proof
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.record import record_id
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes.pages import PUBLIC_KEYS, FakeRecorder, decision, messages

ORIGIN = "civicbus.local/audit"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
RECORDER = RecorderId("a" * 32)
TOKEN = "t" * 43
BEARER = {"Authorization": f"Bearer {TOKEN}"}
LEAVES = [f"leaf {i}".encode() for i in range(700)]


def grow(folder: Path, leaves: list[bytes]) -> None:
    """Append and publish."""
    with Ledger.open(folder, origin=ORIGIN, signer=SIGNER) as ledger:
        ledger.append(leaves, [b""] * len(leaves), position=ledger.position + 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ledger of 3 leaves, two of them records."""
    page = FakeRecorder(RECORDER).write(decision(), decision())
    with Ledger.open(tmp_path / "ledger", origin=ORIGIN, signer=SIGNER) as ledger:
        Sealer(ledger, keys=PUBLIC_KEYS).seal(messages(page))
    return tmp_path / "ledger"


@pytest.fixture
def server(folder: Path) -> Iterator[ProofServer]:
    answering = Answering(partial(read_below, folder), SIGNER.verifier)
    with listen("127.0.0.1", 0, answering, token=TOKEN) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


Got = tuple[int, bytes, dict[str, str]]


def ask(
    server: ProofServer, target: str, headers: dict[str, str] | None = None, method: str = "GET"
) -> Got:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.request(method, target, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read(), dict(response.getheaders())
    finally:
        connection.close()


def problem(got: Got) -> dict[str, Any]:
    status, body, headers = got
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Cache-Control"] == "no-store"
    document: dict[str, Any] = json.loads(body)
    assert document["status"] == status
    return document


def test_the_ledgers_own_bytes_are_served_when_they_are_published(
    server: ProofServer, folder: Path
) -> None:
    grow(folder, LEAVES)
    status, body, headers = ask(server, "/checkpoint")
    assert (status, body) == (200, (folder / "checkpoint").read_bytes())
    assert headers["Cache-Control"] == "public, no-cache"
    for path in ["tile/0/000", "tile/0/002.p/191", "tile/1/000.p/2"]:
        status, body, headers = ask(server, f"/{path}")
        assert (status, body) == (200, (folder / path).read_bytes())
        assert ("immutable" in headers["Cache-Control"]) == (".p/" not in path)
    status, body, headers = ask(server, "/tile/entries/000", BEARER)
    assert decode_bundle(body, Tile(level="entries", index=0))[3:] == LEAVES[:253]
    assert headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert ask(server, "/tile/0/000", method="HEAD")[:2] == (200, b"")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": TOKEN},
        {"Authorization": f"bearer {TOKEN}"},
        {"Authorization": f"Bearer  {TOKEN}"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic dDp0"},
    ],
)
def test_leaves_are_for_the_token_alone_when_they_are_asked_for(
    server: ProofServer, headers: dict[str, str]
) -> None:
    got = ask(server, "/tile/entries/000.p/3", headers)
    assert (got[0], problem(got)["code"]) == (401, "token-required")
    assert got[2]["WWW-Authenticate"] == "Bearer"
    proof = parse_proof(ask(server, "/proof/inclusion?index=1", headers)[1])
    assert proof.extra is None


def test_no_leaf_is_looked_for_when_an_id_comes_without_the_token(
    server: ProofServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = f"/proof/inclusion?id={record_id(RECORDER, page=0, index=1)}"
    assert ask(server, target, BEARER)[0] == 200
    assert problem(ask(server, "/proof/inclusion?id=" + "f" * 32, BEARER))["code"] == "no-such-leaf"
    monkeypatch.delattr(answers, "find_record")
    got = ask(server, target)
    assert (got[0], problem(got)["code"]) == (401, "token-required")
    assert got[2]["WWW-Authenticate"] == "Bearer"


def test_leaves_are_for_nobody_when_the_server_has_no_token(folder: Path) -> None:
    answering = Answering(partial(read_below, folder), SIGNER.verifier)
    with listen("127.0.0.1", 0, answering, token=None) as server:
        assert not server.trusts(["Bearer "])
        assert not server.trusts(["Bearer None"])


def test_a_proof_verifies_when_it_was_asked_for_by_index_or_id(
    server: ProofServer, folder: Path
) -> None:
    by_index = ask(server, "/proof/inclusion?index=2&size=3", BEARER)
    by_id = ask(server, f"/proof/inclusion?id={record_id(RECORDER, page=0, index=1)}", BEARER)
    assert by_index[:2] == by_id[:2]
    proved = verify_proof(by_index[1], SIGNER.verifier)
    assert (proved.index, proved.checkpoint.size) == (2, 3)
    bare = ask(server, "/proof/inclusion?index=2")[1]
    assert verify_proof(bare, SIGNER.verifier, leaf=proved.leaf) == proved
    grow(folder, LEAVES)
    older = ask(server, "/proof/inclusion?index=2&size=3", BEARER)
    assert verify_proof(older[1], SIGNER.verifier) == proved  # a size that was published
    newest = verify_proof(ask(server, "/proof/inclusion?index=702", BEARER)[1], SIGNER.verifier)
    assert (newest.leaf, newest.checkpoint.size) == (b"leaf 699", 703)


OLD, NEW = (1, 2, 255, 256, 257, 512, 600, 702, 703), (511, 512, 700, 703)


@pytest.mark.parametrize(("old", "new"), [(o, n) for o in OLD for n in NEW if o <= n])
def test_a_consistency_proof_verifies_when_both_sizes_are_within_the_log(
    folder: Path, old: int, new: int
) -> None:
    grow(folder, LEAVES)
    answering = Answering(partial(read_below, folder), SIGNER.verifier)
    answer = answering.answer(
        parse_target(f"/proof/consistency?from={old}&to={new}"), trusted=False
    )
    hashes = [parse_hash(line, what="a line") for line in answer.body.decode().splitlines()]
    log = StoredLog(partial(read_below, folder), 703)
    counted = [leaf_hash(leaf) for _, leaf in log.leaves()]
    verify_consistency(
        hashes,
        old_size=old,
        new_size=new,
        old_root=CompactRange().extended(counted[:old]).root(),
        new_root=CompactRange().extended(counted[:new]).root(),
    )


NUMBERS = [" 3", "+3", "03", "-5", "3 ", "1_0", "1e0", "%33", "٣", "", "0x1", "9" * 19, "9" * 400]


@pytest.mark.parametrize(
    "target",
    [
        *(f"/proof/inclusion?index={n}" for n in NUMBERS),
        *(f"/proof/inclusion?index=0&size={n}" for n in NUMBERS),
        *(f"/proof/consistency?from=1&to={n}" for n in NUMBERS),
        "/proof/inclusion",
        "/proof/inclusion?",
        "/proof/inclusion?size=3",
        "/proof/inclusion?index=1&index=1",
        "/proof/inclusion?index=1&id=" + "0" * 32,
        "/proof/inclusion?index=1&",
        "/proof/inclusion?index=1&colour=red",
        "/proof/inclusion?index=1;size=3",
        "/proof/inclusion?index=3&size=3",
        "/proof/inclusion?id=" + "A" * 32,
        "/proof/inclusion?id=" + "a" * 31,
        "/proof/inclusion?id=' or 1=1 --",
        "/proof/consistency?from=1",
        "/proof/consistency?from=3&to=2",
        "/proof/consistency?from=0&to=2",
        "/checkpoint?x=1",
        "/checkpoint?",
        "/tile/0/0",
        "/tile/00/000",
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/64/000",
        "/tile/../state.json",
        "/tile/entries/../../state.json",
        "/tile/0/%30%30%30",
    ],
)
def test_a_question_is_refused_with_a_problem_when_it_is_not_in_its_one_spelling(
    target: str,
) -> None:
    with pytest.raises(Problem) as refused:
        parse_target(target)
    assert refused.value.status == 400
    assert refused.value.document["expected"]


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/", "unknown-path"),
        ("/state.json", "unknown-path"),
        ("/sealed/000.p/3", "unknown-path"),
        ("/checkpoint/", "unknown-path"),
        ("/proof/inclusion?index=3", "no-such-leaf"),
        ("/proof/inclusion?index=0&size=2", "not-published"),
        ("/proof/consistency?from=1&to=4", "not-published"),
        ("/tile/0/000", "not-published"),
        ("/tile/0/000.p/2", "not-published"),
        ("/tile/1/000.p/1", "not-published"),
    ],
)
def test_nothing_is_served_when_it_is_not_published(
    server: ProofServer, target: str, code: str
) -> None:
    got = ask(server, target)
    assert (got[0], problem(got)["code"]) == (404, code)


def test_a_problem_says_what_was_expected_when_the_request_is_malformed(
    server: ProofServer,
) -> None:
    told = problem(ask(server, "/proof/inclusion?index=+1"))
    assert told == {
        "type": "urn:civicbus:problem:malformed-request",
        "title": "index is not a canonical decimal",
        "status": 400,
        "code": "malformed-request",
        "expected": "0 or 1-9…",
    }
    assert problem(ask(server, "/checkpoint", method="DELETE"))["code"] == "wrong-method"
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as raw:
        raw.sendall(b"\xff\xfe nonsense\r\n\r\n")
        with raw.makefile("rb") as answer:
            assert b"malformed-request" in answer.read()


def test_nothing_is_served_when_the_log_went_back(server: ProofServer, folder: Path) -> None:
    older = (folder / "checkpoint").read_bytes()
    grow(folder, LEAVES)
    assert ask(server, "/checkpoint")[0] == 200
    (folder / "checkpoint").write_bytes(older)
    assert problem(ask(server, "/checkpoint"))["code"] == "ledger-broken"
    assert ask(server, "/readyz")[0] == 503


def test_a_forged_checkpoint_is_not_served_when_it_lies_in_the_folder(
    server: ProofServer, folder: Path
) -> None:
    note = (folder / "checkpoint").read_bytes()
    (folder / "checkpoint").write_bytes(note.replace(b"\n3\n", b"\n4\n"))
    got = ask(server, "/checkpoint")
    assert (got[0], problem(got)["code"]) == (500, "ledger-broken")
    (folder / "checkpoint").unlink()
    assert problem(ask(server, "/tile/0/000.p/3"))["code"] == "ledger-unavailable"


@pytest.mark.parametrize("path", ["tile/0/000.p/3", "tile/entries/000.p/3"])
@pytest.mark.parametrize("length", [0, 31, 95, 97])
def test_a_truncated_tile_is_not_served_when_it_lies_in_the_folder(
    server: ProofServer, folder: Path, path: str, length: int
) -> None:
    (folder / path).write_bytes((folder / path).read_bytes().ljust(97, b"x")[:length])
    assert problem(ask(server, f"/{path}", BEARER))["code"] == "ledger-broken"
    assert problem(ask(server, "/proof/inclusion?index=0", BEARER))["code"] == "ledger-broken"


def test_others_are_turned_away_when_all_connections_are_taken(server: ProofServer) -> None:
    held = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(64)]
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as late:
        assert late.recv(100).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    for connection in held:
        connection.close()


def test_a_fault_of_ours_is_told_without_the_question_when_it_is_unforeseen(
    server: ProofServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of record 5555")

    monkeypatch.setattr(server.answering, "answer", fail)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(server, "/proof/inclusion?index=5555")
    assert 'answers_total{status="500"} 1' in ask(server, "/metrics")[1].decode()
    told = capfd.readouterr().err
    assert told.startswith("ZeroDivisionError in test_audit_serving.py:")
    assert "5555" not in told


def test_answers_are_counted_and_none_is_logged_when_they_are_given(
    server: ProofServer, capfd: pytest.CaptureFixture[str]
) -> None:
    ask(server, "/checkpoint")
    ask(server, "/proof/inclusion?id=" + "f" * 32, BEARER)
    assert ask(server, "/livez")[:2] == ask(server, "/readyz")[:2] == (200, b"ok\n")
    text = ask(server, "/metrics")[1].decode()
    assert 'civicbus_proof_answers_total{status="404"} 1' in text
    assert "f" * 32 not in text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "mode"), [(TOKEN, 0o640), (TOKEN, 0o604), ("short", 0o600), ("x " * 30, 0o600)]
)
def test_a_token_is_refused_when_others_may_read_it_or_it_is_guessable(
    tmp_path: Path, text: str, mode: int
) -> None:
    (tmp_path / "token").write_text(text)
    (tmp_path / "token").chmod(mode)
    with pytest.raises(Refused):
        read_token(tmp_path / "token")
    with pytest.raises(Refused):
        read_token(tmp_path / "nowhere")


def test_the_command_serves_until_it_is_told_to_end(folder: Path, tmp_path: Path) -> None:
    token, vkey = tmp_path / "token", tmp_path / "vkey"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)
    vkey.write_text(f"{SIGNER.verifier}\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "civicbus_audit", "serve", "--port", "0", "--ledger", folder,
         "--vkey", vkey, "--token-file", token],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert process.stderr is not None
    port = int(process.stderr.readline().rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/checkpoint")
    assert open_checkpoint(connection.getresponse().read(), SIGNER.verifier).size == 3
    connection.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    process.stderr.close()
