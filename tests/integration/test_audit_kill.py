"""The ledger under SIGKILL, SIGSTOP, a full disk and failing fsyncs: real processes, real calls.

A process seals without pause until it is stopped somewhere; then everything is checked, and the
next one goes on. Nothing that it has said to be sealed may be missing, doubled or forked.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.verify import published, verify_ledger, verify_prefix
from civicbus_schemas.errors import Fenced
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.campaign import Rounds

ORIGIN = "civicbus.local/audit"
SIGNER = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))

SEALING = """
import sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
signer = Signer("civicbus.local/audit", Ed25519PrivateKey.from_private_bytes(bytes(32)))
with Ledger.open(Path(sys.argv[1]), origin="civicbus.local/audit", signer=signer) as ledger:
    while True:
        print(ledger.position, flush=True)
        start = ledger.position
        count = 1 + start * 7919 % 300
        leaves = [b"leaf %d" % i for i in range(start, start + count)]
        ledger.append(leaves, [b"sealed"] * count, position=start + count)
"""


pytestmark = pytest.mark.crash


@dataclass
class Life:
    """One ledger through many processes, and the notes that were published on the way."""

    home: Path
    size: int = 0
    older: list[bytes] = field(default_factory=list)

    @contextmanager
    def sealing(self, *before: str) -> Iterator[subprocess.Popen[bytes]]:
        command = [*before, sys.executable, "-c", SEALING, str(self.home)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def check(self, *, least: int) -> None:
        """Open it as a successor does, and hold it against all that was ever said of it."""
        with Ledger.open(self.home, origin=ORIGIN, signer=SIGNER) as ledger:
            assert ledger.position == ledger.checkpoint.size >= max(self.size, least)
            self.size = ledger.position
            leaves = [leaf for _, leaf in ledger.log().leaves()]
            assert leaves == [b"leaf %d" % i for i in range(self.size)]
        directory = LedgerDirectory(self.home)
        assert verify_ledger(directory, SIGNER.verifier).size == self.size
        for note in self.older:
            verify_prefix(directory, SIGNER.verifier, older=note)
        self.older = [*self.older[-4:], published(directory, SIGNER.verifier)[1]]


def lives(folder: Path, rounds: Rounds) -> Iterator[Life]:
    """A life for each round; ten rounds long, or checking it would take most of the time."""
    for number in rounds:
        if number % 10 == 0:
            life = Life(folder / f"ledger-{number}")
        yield life


def said(process: subprocess.Popen[bytes], lines: int) -> int:
    """The last of so many positions that it tells; each is sealed."""
    assert process.stdout is not None
    return [int(process.stdout.readline()) for _ in range(lines)][-1]


def last_said(process: subprocess.Popen[bytes]) -> int:
    """What it told last, once it has ended by itself."""
    assert process.stdout is not None
    told = process.stdout.read().split()
    assert process.wait(60) != 0
    return int(told[-1]) if told else 0


def test_no_leaf_is_lost_or_doubled_when_the_sealing_process_is_killed(
    tmp_path: Path, rounds: Rounds
) -> None:
    draw = random.Random(rounds.count)  # noqa: S311
    for life in lives(tmp_path, rounds):
        with life.sealing() as process:
            # After some seals, somewhere in the next one: where exactly is left to chance.
            sealed = said(process, 2 + draw.randrange(9))
            os.kill(process.pid, signal.SIGKILL)
        life.check(least=sealed)
        assert life.size > 0


def test_a_successor_is_refused_while_the_sealing_process_is_only_paused(
    tmp_path: Path, rounds: Rounds
) -> None:
    draw = random.Random(rounds.count)  # noqa: S311
    for life in lives(tmp_path, rounds):
        with life.sealing() as process:
            said(process, 2 + draw.randrange(9))
            os.kill(process.pid, signal.SIGSTOP)
            with pytest.raises(Fenced):
                Ledger.open(life.home, origin=ORIGIN, signer=SIGNER)
            os.kill(process.pid, signal.SIGCONT)
            sealed = said(process, 3)
            os.kill(process.pid, signal.SIGKILL)
        life.check(least=sealed)


def test_no_leaf_is_lost_or_doubled_when_the_disk_is_full(tmp_path: Path, rounds: Rounds) -> None:
    """A disk of its own that gets a little larger each time; it stops by itself each time."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a tmpfs")
    try:
        life = Life(disk / "ledger")
        for round_ in rounds:
            with life.sealing() as process:
                sealed = last_said(process)
            larger = f"remount,size={512 + 256 * round_}k"
            subprocess.run(["mount", "-o", larger, str(disk)], check=True)
            life.check(least=sealed)
        assert life.size > 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_no_leaf_is_lost_or_doubled_when_an_fsync_fails(tmp_path: Path, rounds: Rounds) -> None:
    """The n-th fsync says EIO, as a dying disk does; the process stops instead of trying again."""
    trace = tmp_path / "trace"
    strace = ["strace", "-qq", "-f", "-o", str(trace), "-e", "trace=fsync"]
    if shutil.which("strace") is None or subprocess.run([*strace, "true"]).returncode:
        pytest.skip("strace may not trace here; `FakeDurableFiles` fails every call in turn")
    draw = random.Random(rounds.count)  # noqa: S311
    for life in lives(tmp_path, rounds):
        nth = 1 + draw.randrange(120)
        with life.sealing(*strace, "-e", f"inject=fsync:error=EIO:when={nth}") as process:
            sealed = last_said(process)
        assert "(INJECTED)" in trace.read_text()
        life.check(least=sealed)
