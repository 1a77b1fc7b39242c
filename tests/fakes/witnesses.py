"""A log in memory that signs whatever it is told to, witnesses' keys, and running witnesses."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from civicbus_audit.checkpoint import Checkpoint, sign_checkpoint
from civicbus_audit.cosignature import CosignatureSigner
from civicbus_audit.merkle import CompactRange, consistency_proof, leaf_hash, perfect_root
from civicbus_audit.note import Signature, Signer
from civicbus_audit.quorum import Group, Log, Policy, Witness
from civicbus_audit.witness.request import Request, format_request, parse_request
from civicbus_audit.witness.rules import Held, Refusal, Status, Submitted, authenticate, judge
from civicbus_audit.witnessing import Stale
from civicbus_schemas.errors import EvidenceBroken, Unavailable
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.ports import free_port

ORIGIN = "civicbus.local/audit"
LOG = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
SIGNERS = tuple(
    CosignatureSigner(f"w{i}.example", Ed25519PrivateKey.from_private_bytes(bytes([i]) * 32))
    for i in (1, 2, 3)
)


def policy_of(signers: Sequence[CosignatureSigner] = SIGNERS, *, quorum: int = 2) -> Policy:
    """So many of these witnesses."""
    names = tuple(signer.cosigner.name for signer in signers)
    return Policy(
        logs=(Log(verifier=LOG.verifier),),
        witnesses=tuple(Witness(name=s.cosigner.name, cosigner=s.cosigner) for s in signers),
        groups=(Group(name="quorum", threshold=quorum, members=names),),
        quorum="quorum",
    )


@dataclass(frozen=True, slots=True)
class FakeLog:
    """Any history, told as the log's own by its key."""

    leaves: Sequence[bytes]
    signer: Signer = LOG

    def checkpoint(self, size: int) -> Checkpoint:
        hashes = map(leaf_hash, self.leaves[:size])
        root = CompactRange().extended(hashes).root()
        return Checkpoint(origin=self.signer.verifier.name, size=size, root=root)

    def note(self, size: int) -> bytes:
        return sign_checkpoint(self.checkpoint(size), self.signer)

    def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        return consistency_proof(old, new, self._node) if 0 < old <= new else ()

    def body(self, old: int, new: int) -> bytes:
        """The honest request for this history."""
        return format_request(
            Request(old_size=old, proof=self.proof(old, new), note=self.note(new))
        )

    def _node(self, height: int, index: int) -> bytes:
        start, width = index << height, 1 << height
        return perfect_root([leaf_hash(leaf) for leaf in self.leaves[start : start + width]])


HONEST = FakeLog([f"leaf {i}".encode() for i in range(700)])
SPLIT = FakeLog([*HONEST.leaves[:90], b"another", *HONEST.leaves[91:]])


class FakeWitness:
    """A witness of another machine, asked without a network; `mode` is how it fails."""

    def __init__(self, signer: CosignatureSigner) -> None:
        self.name, self.cosigner, self._signer = signer.cosigner.name, signer.cosigner, signer
        self.held = Held()
        self.cosigned = list[Checkpoint]()
        self.mode: Literal["well", "dead", "deaf", "lying"] = "well"

    def add_checkpoint(self, request: Request) -> tuple[Signature, ...] | Stale:
        if self.mode == "dead":
            raise Unavailable("nobody listens")
        request = parse_request(format_request(request))
        submitted = authenticate(request, {ORIGIN: LOG.verifier})
        assert isinstance(submitted, Submitted), submitted
        verdict = judge(request, submitted.checkpoint, self.held)
        match verdict:
            case Refusal(status=Status.STALE, size=int() as size):
                return Stale(size=size)
            case Refusal():
                raise EvidenceBroken(verdict.why)
        self.held = verdict
        self.cosigned.append(submitted.checkpoint)
        if self.mode == "deaf":
            raise Unavailable("persisted, and the answer was lost")
        text = submitted.text if self.mode != "lying" else "another text\n"
        return (self._signer.cosign(text, at_s=1_800_000_000),)

    def close(self) -> None:
        """Nothing is kept."""


def fake_witnesses() -> list[FakeWitness]:
    return [FakeWitness(signer) for signer in SIGNERS]


class RunningWitness:
    """`civicbus-audit witness run` as its operator runs it, in a folder of its own."""

    def __init__(self, folder: Path, name: str, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name, self.port = folder, name, free_port()
        self._options = options
        (folder / "log.vkey").write_text(f"{LOG.verifier}\n")
        made = self._command("key")
        self.vkey = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        options = ("--log", "log.vkey", "--store", "store.db", "--port", str(self.port))
        self._process = subprocess.Popen(
            [*self._command("run"), *options, *self._options],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()  # it is printed once the port is open
        assert line == f"{self.vkey} {self.url}\n"

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def post(self, body: bytes) -> tuple[int, str, str]:
        """Status, content type and text of the answer to add-checkpoint."""
        return call(self.port, "POST", "/add-checkpoint", body)

    def _command(self, verb: str) -> list[str]:
        command = [sys.executable, "-P", "-m", "civicbus_audit.witness", verb]
        return [*command, "--key", str(self.folder / "key.pem"), "--name", self.name]


@contextmanager
def running(
    folder: Path, *names: str, mirror: Sequence[str] = ()
) -> Iterator[list[RunningWitness]]:
    """Witnesses that end with the test; the last one with a mirror's options, if there are any."""
    witnesses = list[RunningWitness]()
    try:
        for name in names:
            options = mirror if name == names[-1] else ()
            witnesses.append(RunningWitness(folder / name, name, *options))
        yield witnesses
    finally:
        for witness in witnesses:
            witness.kill()


def call(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()
    finally:
        connection.close()
