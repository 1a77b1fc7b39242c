"""A witness as its operator runs it: codes over HTTP, limits, and what a kill leaves."""

from __future__ import annotations

import hashlib
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from civicbus_audit.cosignature import Cosigner
from civicbus_audit.note import parse_signature
from civicbus_audit.witness.service import WitnessServer
from civicbus_audit.witness.store import WitnessStore
from civicbus_audit.witness.witness import Witness

from tests.fakes.witnesses import (
    HONEST,
    LOG,
    ORIGIN,
    SIGNERS,
    SPLIT,
    RunningWitness,
    call,
    running,
)


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWitness]:
    """One process; it has cosigned size 100."""
    with running(tmp_path_factory.mktemp("witness"), "w.example") as [one]:
        assert one.post(HONEST.body(0, 100))[0] == 200
        yield one


def test_the_line_verifies_when_the_log_continues(witness: RunningWitness) -> None:
    status, kind, line = witness.post(HONEST.body(100, 100))
    assert (status, kind) == (200, "text/plain; charset=utf-8")
    cosigner = Cosigner.parse(witness.vkey)
    assert cosigner.time_s(HONEST.checkpoint(100).text, parse_signature(line[:-1])) > 1_700_000_000


def test_a_split_view_is_refused_when_the_log_s_key_signs_it(witness: RunningWitness) -> None:
    assert witness.post(SPLIT.body(100, 100))[0] == 422


def test_a_rollback_is_refused_when_the_log_s_key_signs_it(witness: RunningWitness) -> None:
    answer = witness.post(HONEST.body(60, 60))
    assert answer == (409, "text/x.tlog.size", "100\n")


def test_a_rewritten_history_is_refused_when_the_log_s_key_signs_it(
    witness: RunningWitness,
) -> None:
    assert witness.post(SPLIT.body(100, 300))[0] == 422


def test_what_was_cosigned_is_shown_to_whoever_asks(witness: RunningWitness) -> None:
    origin = hashlib.sha256(ORIGIN.encode()).hexdigest()
    status, _, note = call(witness.port, "GET", f"/{origin}/checkpoint")
    assert status == 200
    assert note.startswith(HONEST.note(100).decode())
    assert call(witness.port, "GET", f"/{'0' * 64}/checkpoint")[0] == 404
    assert call(witness.port, "GET", "/readyz")[0] == 200
    metrics = call(witness.port, "GET", "/metrics")[2]
    assert f'civicbus_witness_held_size_leaves{{origin="{ORIGIN}"}} 100\n' in metrics
    assert call(witness.port, "GET", "/else")[0] == 404
    assert call(witness.port, "POST", "/else", b"")[0] == 404


def test_it_is_unready_and_alive_when_its_store_is_gone(tmp_path: Path) -> None:
    store = WitnessStore(tmp_path / "store.db")
    one = Witness(signer=SIGNERS[0], logs={ORIGIN: LOG.verifier}, store=store)
    origin = hashlib.sha256(ORIGIN.encode()).hexdigest()
    with WitnessServer(one, host="127.0.0.1", port=0) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            port = server.server_port
            assert call(port, "GET", "/readyz")[0] == 200
            store.close()
            for path in ("/readyz", "/metrics", f"/{origin}/checkpoint"):
                assert call(port, "GET", path)[::2] == (503, "Unavailable\n")
            assert call(port, "GET", "/livez")[0] == 200
        finally:
            server.shutdown()
            thread.join()


def raw(port: int, request: bytes) -> bytes:
    """Everything that is answered to these bytes until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(4096), b""))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Content-Length: 999999\r\n", b"413"),
        (b"Content-Length: 9999999999999999999999\r\n", b"413"),
        (b"Content-Length: -1\r\n", b"411"),
        (b"Content-Length: \xb2\r\n", b"411"),
        (b"", b"411"),
        (b"Transfer-Encoding: chunked\r\n", b"411"),
    ],
)
def test_a_body_is_not_read_when_its_length_is_not_said_or_too_large(
    witness: RunningWitness, headers: bytes, status: bytes
) -> None:
    answer = raw(witness.port, b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)
    cut = b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nold 1"
    assert raw(witness.port, cut) == b""


def test_what_was_answered_is_held_when_the_witness_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, "w.example") as [one]:
        old = 0
        for size in range(50, 300, 50):
            assert one.post(HONEST.body(old, size))[0] == 200
            one.kill(signal.SIGKILL)
            one.start()
            assert one.post(HONEST.body(old, size))[2] == f"{size}\n"
            assert one.post(SPLIT.body(size, size))[0] == (422 if size > 90 else 200)
            old = size
        one.kill(signal.SIGTERM)


def test_the_key_is_refused_when_others_may_read_it(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("civicbus-audit")), "witness", "key"]
    options = ["--key", str(tmp_path / "key.pem"), "--name", "w.example"]
    first = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
    again = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
    assert first.stdout == again.stdout
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    (tmp_path / "key.pem").chmod(0o640)
    refused = subprocess.run([*command, *options], check=False, capture_output=True, text=True)
    assert (refused.returncode, "chmod 600" in refused.stderr) == (2, True)
