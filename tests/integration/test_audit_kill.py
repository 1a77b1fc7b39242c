"""The ledger under real SIGKILL: a process seals without pause, is killed, and is followed up."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.verify import published, verify_ledger, verify_prefix
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

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


@pytest.mark.crash
def test_no_leaf_is_lost_or_doubled_when_the_sealing_process_is_killed(
    tmp_path: Path, rounds: int
) -> None:
    home, older, size = tmp_path / "ledger", list[bytes](), 0
    draw = random.Random(rounds)  # noqa: S311
    for _ in range(rounds):
        with subprocess.Popen(
            [sys.executable, "-c", SEALING, str(home)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            # After some seals, somewhere in the next one: where exactly is left to chance.
            said = [int(process.stdout.readline()) for _ in range(2 + draw.randrange(9))]
            os.kill(process.pid, signal.SIGKILL)
        with Ledger.open(home, origin=ORIGIN, signer=SIGNER) as ledger:
            assert ledger.position == ledger.checkpoint.size >= max(size, said[-1])
            size = ledger.position
            leaves = [leaf for _, leaf in ledger.log().leaves()]
            assert leaves == [b"leaf %d" % i for i in range(size)]
        directory = LedgerDirectory(home)
        assert verify_ledger(directory, SIGNER.verifier).size == size
        for note in older:
            verify_prefix(directory, SIGNER.verifier, older=note)
        older.append(published(directory, SIGNER.verifier)[1])
    assert size > 0
