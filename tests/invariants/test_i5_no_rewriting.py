"""I5: what was sealed cannot be rewritten unnoticed, not even by whoever holds the log's key.

A ledger is sealed from the pages of real decisions. Then its operator forges it: every tile is made
anew from other leaves and the checkpoint signed again, so that the forgery verifies by itself.
Whoever holds one older checkpoint finds it all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from civicbus_audit.completeness.commit import INDEX_COMMIT, IndexCommit, Tally
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.stored import CHECKPOINT, StoredLog
from civicbus_audit.verify import published, verify_ledger, verify_prefix
from civicbus_consumers.sealing.settings import SealingSettings
from civicbus_deploy.embedded import keys
from civicbus_deploy.embedded.state import read_json, write_json
from civicbus_schemas.errors import EvidenceBroken, InvalidBytes
from civicbus_schemas.page import HEADER_LEAF
from civicbus_schemas.record import RECORD, Record
from civicbus_schemas.topics import AUDIT_PAGE
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.bus import Bus
from tests.lives import birth, child_pin
from tests.stack import Stack

pytestmark = pytest.mark.broker

BIRTHS = "src.moj.civil-status.v1"
Leaves = list[bytes]


@dataclass(frozen=True)
class Evidence:
    """A ledger as it grew, the note of its older checkpoint, and its operator's key."""

    ledger: LedgerDirectory
    older: bytes
    signer: Signer

    @property
    def leaves(self) -> Leaves:
        """Every leaf under the newest checkpoint."""
        size = published(self.ledger, self.signer.verifier)[0].size
        return [leaf for _, leaf in StoredLog(self.ledger.read, size).leaves()]

    @property
    def older_size(self) -> int:
        """How many of them the older checkpoint covers."""
        return int(self.older.splitlines()[1])


@pytest.fixture(scope="module")
def evidence(bus: Bus) -> Evidence:
    """Two batches of births, decided and sealed by the real processes; a note after the first."""
    folder, signer = bus.stack.folder.ledger, _operator(bus.stack)
    notes, sealing = [], bus.stack.folder.processes / "sealing.json"
    write_json(sealing, {**read_json(sealing), "commit_every_s": 1})  # many commits are forged, too
    with bus.running("enforce-0"), bus.running("enforce-1"), bus.running("sealing"):
        for first in (1, 100):
            with bus.publisher("moj") as publisher:
                for n in range(first, first + 12):
                    publisher.publish(birth(n), subject=child_pin(n))
            bus.wait(lambda: bus.is_drained(BIRTHS), "enforcement")
            bus.wait(lambda: _is_sealed(bus, folder, signer), "sealing")
            notes.append((folder / CHECKPOINT).read_bytes())
    return Evidence(LedgerDirectory(folder), notes[0], signer)


def _operator(stack: Stack) -> Signer:
    key = load_pem_private_key((stack.folder.secrets / "log-key.pem").read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    settings = SealingSettings.read(stack.folder.processes / "sealing.json")
    assert settings.origin == keys.ORIGIN
    return Signer(settings.origin, key)


def _is_sealed(bus: Bus, folder: Path, signer: Signer) -> bool:
    """Whether every page that is on the topic is in the ledger."""
    if not (folder / CHECKPOINT).exists():
        return False
    pages, ledger = len(bus.read_all(AUDIT_PAGE)), LedgerDirectory(folder)
    size = published(ledger, signer.verifier)[0].size
    headers = sum(HEADER_LEAF.wrote(leaf) for _, leaf in StoredLog(ledger.read, size).leaves())
    return headers >= pages > 0


def forge(evidence: Evidence, leaves: Leaves, folder: Path) -> LedgerDirectory:
    """The operator's forgery: a ledger of these leaves that verifies by itself."""
    leaves = _committed_anew(leaves)
    with Ledger.open(folder, origin=keys.ORIGIN, signer=evidence.signer) as ledger:
        ledger.append(leaves, [b""] * len(leaves), position=len(leaves), memory={})
    forged = LedgerDirectory(folder)
    assert verify_ledger(forged, evidence.signer.verifier).size == len(leaves)
    return forged


def _committed_anew(leaves: Leaves) -> Leaves:
    """These leaves, with the index commits that they make."""
    made, tally = Leaves(), Tally(0)
    for leaf in leaves:
        if INDEX_COMMIT.wrote(leaf):
            made.append(tally.commit(IndexCommit.decode(leaf).at).encode())
            tally = Tally(tally.end)
        else:
            made.append(leaf)
        tally.add(made[-1])
    return made


def _changed(leaves: Leaves, at: int) -> Leaves:
    """A record says something else of the subject's data; or of who acted, where there is none."""
    record = Record.decode(leaves[at])
    word = record.fields[0] if record.fields else record.actor.agency
    other = leaves[at].replace(word.encode(), word.upper().encode())
    assert other != leaves[at]
    return [*leaves[:at], other, *leaves[at + 1 :]]


def _dropped(leaves: Leaves, at: int) -> Leaves:
    return [*leaves[:at], *leaves[at + 1 :]]


def _added(leaves: Leaves, at: int) -> Leaves:
    return [*leaves[:at], leaves[at], *leaves[at:]]


def _reordered(leaves: Leaves, at: int) -> Leaves:
    assert leaves[at] != leaves[at + 1]
    return [*leaves[:at], leaves[at + 1], leaves[at], *leaves[at + 2 :]]


FORGERIES: dict[str, Callable[[Leaves, int], Leaves]] = {
    "changed": _changed,
    "dropped": _dropped,
    "added": _added,
    "reordered": _reordered,
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_any_leaf_is_missed_by_whoever_holds_an_older_checkpoint_when_it_was(
    evidence: Evidence, forgery: str, tmp_path: Path
) -> None:
    """Every record that the older checkpoint covers, one forgery each."""
    leaves = evidence.leaves
    covered = [i for i in range(evidence.older_size - 1) if RECORD.wrote(leaves[i])]
    assert len(covered) >= 36, "four decisions on each of the first births"
    for at in covered[:: len(covered) // 6]:
        forged = forge(evidence, FORGERIES[forgery](leaves, at), tmp_path / str(at))
        with pytest.raises(EvidenceBroken):
            verify_prefix(forged, evidence.signer.verifier, older=evidence.older)


def test_ledger_holds_what_it_held_when_it_only_grew(evidence: Evidence, tmp_path: Path) -> None:
    """The control: the real ledger, and the same leaves made anew, continue the older one."""
    assert len(evidence.leaves) > evidence.older_size
    assert any(map(INDEX_COMMIT.wrote, evidence.leaves))
    same = forge(evidence, evidence.leaves, tmp_path)
    assert [
        leaf for _, leaf in StoredLog(same.read, len(evidence.leaves)).leaves()
    ] == evidence.leaves
    for ledger in (evidence.ledger, same):
        verify_ledger(ledger, evidence.signer.verifier)
        old = verify_prefix(ledger, evidence.signer.verifier, older=evidence.older)
        assert old.size == evidence.older_size


def test_leaves_are_missed_when_the_ledger_was_cut_below_an_older_checkpoint(
    evidence: Evidence, tmp_path: Path
) -> None:
    """A rolled-back ledger verifies by itself, and is shorter than what was once signed."""
    forged = forge(evidence, evidence.leaves[: evidence.older_size - 1], tmp_path)
    with pytest.raises(EvidenceBroken, match="shorter"):
        verify_prefix(forged, evidence.signer.verifier, older=evidence.older)


def test_changed_byte_is_found_by_anybody_when_the_checkpoint_was_not_signed_again(
    evidence: Evidence, tmp_path: Path
) -> None:
    """Whoever lacks the log's key cannot even make a ledger that verifies by itself."""
    forged = forge(evidence, evidence.leaves, tmp_path)
    bundle = next(path for path in forged.tile_paths() if path.startswith("tile/entries/"))
    data = bytearray((tmp_path / bundle).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / bundle).write_bytes(data)
    with pytest.raises((EvidenceBroken, InvalidBytes)):
        verify_ledger(forged, evidence.signer.verifier)
