"""Only a log that grows is taken for published, however its readers race."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.serving.published import Publications
from civicbus_schemas.errors import EvidenceBroken
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNER = Signer("civicbus.local/audit", Ed25519PrivateKey.from_private_bytes(bytes(32)))


def grown(folder: Path, count: int) -> bytes:
    """The checkpoint after so many more leaves."""
    with Ledger.open(folder, origin=SIGNER.verifier.name, signer=SIGNER) as ledger:
        ledger.append([b"leaf"] * count, [b""] * count, position=ledger.position + 1)
    return (folder / "checkpoint").read_bytes()


def test_a_log_that_shrinks_is_an_error_and_no_answer(tmp_path: Path) -> None:
    notes = [grown(tmp_path, 3)]
    publications = Publications(lambda _: notes[-1], SIGNER.verifier)
    assert publications.newest().checkpoint.size == 3
    notes.append(grown(tmp_path, 700))
    assert publications.newest().checkpoint.size == 703
    assert publications.find(3) is not None
    notes.append(notes[0])
    with pytest.raises(EvidenceBroken):
        publications.newest()


def test_no_log_seems_to_shrink_when_a_reader_is_overtaken(tmp_path: Path) -> None:
    older, newer = grown(tmp_path, 3), grown(tmp_path, 700)
    reads, sizes = list[str](), list[int]()
    overtaking = Thread(target=lambda: sizes.append(publications.newest().checkpoint.size))

    def read(path: str) -> bytes:
        reads.append(path)
        if len(reads) > 1:
            return newer
        overtaking.start()
        overtaking.join(0.5)  # time to overtake; who has to wait for the first cannot end in it
        return older

    publications = Publications(read, SIGNER.verifier)
    sizes.append(publications.newest().checkpoint.size)
    overtaking.join()
    assert sizes == [3, 703]
