"""A ledger with witnesses: committed at once, published with a quorum, whatever fails between."""

from __future__ import annotations

import threading
from pathlib import Path
from random import Random  # a seed repeats a crash; nothing secret

import pytest
from civicbus_audit.checkpoint import open_checkpoint
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signature
from civicbus_audit.quorum import open_cosigned, without_witnesses
from civicbus_audit.restoring import rebuild_state
from civicbus_audit.verify import published, verify_ledger, verify_prefix
from civicbus_audit.witness.request import Request
from civicbus_audit.witnessing import Gathered, Stale, Witnessing
from civicbus_schemas.errors import EvidenceBroken, Stopped, Unavailable

from tests.fakes.durable_files import FakeDurableFiles, Mode
from tests.fakes.witnesses import LOG, ORIGIN, FakeWitness, fake_witnesses, policy_of

POLICY = policy_of()
LEAVES = [f"leaf {i}".encode() for i in range(900)]


class Site:
    """A ledger's disk, and its witnesses, who are elsewhere: a crash here does not touch them."""

    def __init__(self) -> None:
        self.files = FakeDurableFiles()
        self.witnesses = fake_witnesses()
        self.notes = list[bytes]()

    def copy(self) -> Site:
        other = Site()
        other.files = self.files.copy()
        for theirs, ours in zip(other.witnesses, self.witnesses, strict=True):
            theirs.held, theirs.cosigned = ours.held, [*ours.cosigned]
        other.notes = [*self.notes]
        return other

    def opened(self) -> Ledger:
        return Ledger.open(
            Path("unused"), origin=ORIGIN, signer=LOG, policy=POLICY, files=self.files
        )

    def gather(self, ledger: Ledger) -> Gathered:
        return Witnessing(POLICY, self.witnesses, timeout_s=20).gather(ledger.pending, ledger.log)

    def publish(self, ledger: Ledger) -> None:
        """As a sealing process does: what can be gathered is brought, and no quorum is no end."""
        lines = self.gather(ledger).lines
        if POLICY.is_satisfied_by(lines.keys()):
            ledger.publish(lines.values())
            self.notes.append(self.files.read("checkpoint"))

    def check(self) -> int:
        """The size that is published; everything that anybody ever cosigned is its beginning."""
        self.opened().close()  # finishes what a crash left
        size = verify_ledger(self.files, POLICY).size
        with self.opened() as ledger:
            assert ledger.position == ledger.checkpoint.size >= size
            log = ledger.log()
            assert [leaf for _, leaf in log.leaves()] == LEAVES[: log.size]
            assert open_checkpoint(ledger.pending, LOG.verifier) == ledger.checkpoint
        for note in self.notes:
            verify_prefix(self.files, POLICY, older=note)
        roots = dict[int, bytes]()
        for witness in self.witnesses:
            for seen in witness.cosigned:
                assert roots.setdefault(seen.size, seen.root) == seen.root
        return size


def append(ledger: Ledger, until: int) -> None:
    new = LEAVES[ledger.position : until]
    ledger.append(new, [b""] * len(new), position=until)


def base() -> Site:
    """250 leaves published in two steps."""
    site = Site()
    with site.opened() as ledger:
        for size in (200, 250):
            append(ledger, size)
            site.publish(ledger)
    site.files.calls.clear()
    return site


def test_the_checkpoint_stays_when_there_is_no_quorum_and_follows_when_there_is() -> None:
    site = base()
    site.witnesses[0].mode = site.witnesses[1].mode = "dead"
    with site.opened() as ledger:
        for size in (300, 600):
            append(ledger, size)
            site.publish(ledger)
        assert published(site.files, POLICY)[0].size == 250
        with pytest.raises(EvidenceBroken, match="too few witnesses"):
            ledger.publish(site.gather(ledger).lines.values())
        assert published(site.files, POLICY)[0].size == 250
        assert ledger.checkpoint.size == 600
    assert site.check() == 250
    site.witnesses[1].mode = "well"
    with site.opened() as ledger:
        site.publish(ledger)
    assert site.check() == 600


def test_published_partial_tiles_stay_until_their_successor_is_published() -> None:
    site = base()
    for witness in site.witnesses:
        witness.mode = "dead"
    with site.opened() as ledger:
        for size in (300, 600):
            append(ledger, size)
        paths = set(site.files.paths())
        assert {"tile/0/000", "tile/0/000.p/250", "tile/entries/000.p/250"} <= paths
        assert not [path for path in paths if "001.p" in path]  # of 300, which nobody published
        for witness in site.witnesses:
            witness.mode = "well"
        site.publish(ledger)
    assert not [path for path in site.files.paths() if "/000.p/250" in path]
    assert site.check() == 600


def test_nothing_is_published_when_a_new_ledger_has_no_quorum() -> None:
    site = Site()
    for witness in site.witnesses:
        witness.mode = "dead"
    with site.opened() as ledger:
        append(ledger, 5)
        site.publish(ledger)
        assert ledger.published is None
    assert not site.files.exists("checkpoint")
    for witness in site.witnesses:
        witness.mode = "well"
    with site.opened() as ledger:
        site.publish(ledger)
    assert site.check() == 5


@pytest.mark.parametrize(("mode", "seed"), [("lost", None), ("persisted", 1), ("torn", 1)])
def test_no_head_forks_when_any_call_fails_between_commit_and_publication(
    mode: Mode, seed: int | None
) -> None:
    """Each call of append, cosigning and publication fails in turn; the power goes; it goes on."""
    start, failures, sizes = base(), 0, set[int]()
    for call in range(1, 200):
        site = start.copy()
        site.witnesses[call % 3].mode = "deaf" if call % 2 else "dead"
        with site.opened() as ledger:
            site.files.fail_at, site.files.mode = call, mode
            try:
                append(ledger, 260)
                site.publish(ledger)
            except Stopped:
                failures += 1
            else:
                if site.files.fail_at > 0:
                    break
        site.files.crash(Random(seed) if seed else None)  # noqa: S311
        sizes.add(site.check())
        for witness in site.witnesses:
            witness.mode = "well"
        with site.opened() as ledger:
            site.publish(ledger)  # the head that the crash left is cosigned again
            append(ledger, 261)
            site.publish(ledger)
        assert site.check() == 261
    assert failures > 25
    assert sizes == {250, 260}


@pytest.mark.parametrize("seed", range(20))
def test_the_log_is_one_history_when_witnesses_crashes_and_steps_come_as_they_may(
    seed: int,
) -> None:
    random = Random(seed)  # noqa: S311
    site, size = base(), 250
    for _ in range(12):
        for witness in site.witnesses:
            witness.mode = random.choice(["well", "well", "dead", "deaf", "lying"])
        try:
            with site.opened() as ledger:
                if random.random() < 0.5:
                    site.files.fail_at = random.randrange(1, 60)
                    site.files.mode = random.choice(["lost", "persisted", "torn"])
                site.publish(ledger)
                append(ledger, size := max(ledger.position, size) + random.randrange(1, 40))
                site.publish(ledger)
        except Stopped:
            site.files.crash(random)
        site.files.fail_at = None
        site.check()


def test_the_log_is_taken_for_rolled_back_when_a_witness_holds_more() -> None:
    site = base()
    earlier = site.files.copy()
    with site.opened() as ledger:
        append(ledger, 300)
        site.publish(ledger)
    site.files = earlier
    with site.opened() as ledger:
        gathered = site.gather(ledger)
        assert not gathered.lines
        assert {type(error) for error in gathered.failures.values()} == {EvidenceBroken}
        assert all("rolled back" in str(error) for error in gathered.failures.values())


def test_a_rewritten_log_gets_no_line_when_it_is_signed_with_the_log_s_key() -> None:
    site = base()
    forged = Site()
    forged.witnesses = site.witnesses
    with forged.opened() as ledger:
        ledger.append([b"forged", *LEAVES[1:300]], [b""] * 300, position=300)
        gathered = forged.gather(ledger)
        assert not gathered.lines
        with pytest.raises(EvidenceBroken):
            ledger.publish(gathered.lines.values())
    assert not forged.files.exists("checkpoint")


def test_a_line_is_not_taken_when_the_witness_lies() -> None:
    site = base()
    site.witnesses[2].mode = "lying"
    with site.opened() as ledger:
        append(ledger, 260)
        gathered = site.gather(ledger)
    assert sorted(gathered.lines) == ["w1.example", "w2.example"]
    assert isinstance(gathered.failures["w3.example"], EvidenceBroken)


class Hanging(FakeWitness):
    """Answers when it is let go."""

    def __init__(self, inner: FakeWitness) -> None:
        super().__init__(inner._signer)
        self.held = inner.held
        self.asked, self.gate = 0, threading.Event()

    def add_checkpoint(self, request: Request) -> tuple[Signature, ...] | Stale:
        self.asked += 1
        self.gate.wait(20)
        return super().add_checkpoint(request)


def test_a_hanging_witness_is_not_waited_for_nor_asked_twice_when_there_is_a_quorum() -> None:
    site = base()
    hanging = Hanging(site.witnesses[2])
    witnessing = Witnessing(POLICY, [*site.witnesses[:2], hanging], timeout_s=20, patience_s=0.0)
    with site.opened() as ledger:
        append(ledger, 260)
        for _ in range(2):
            gathered = witnessing.gather(ledger.pending, ledger.log)
            assert sorted(gathered.lines) == ["w1.example", "w2.example"]
            assert isinstance(gathered.failures["w3.example"], Unavailable)
        assert hanging.asked == 1
        hanging.gate.set()


def test_a_ledger_that_had_no_witnesses_gets_them_when_it_is_opened_with_a_policy() -> None:
    site = Site()
    with Ledger.open(Path("x"), origin=ORIGIN, signer=LOG, files=site.files) as ledger:
        append(ledger, 100)
    old = site.files.read("checkpoint")
    with site.opened() as ledger:
        append(ledger, 300)
        assert site.files.read("checkpoint") == old
        site.publish(ledger)
    assert site.check() == 300
    verify_prefix(site.files, POLICY, older=old)


def test_the_cosigned_note_carries_times_when_it_is_published() -> None:
    site = base()
    cosigned = open_cosigned(site.files.read("checkpoint"), POLICY)
    assert set(cosigned.times_s.values()) == {1_800_000_000}
    assert without_witnesses(LOG.verifier) == LOG.verifier


def test_pending_leaves_are_broken_evidence_when_one_is_changed() -> None:
    site = base()
    with site.opened() as ledger:
        append(ledger, 300)
    assert site.check() == 250
    data = bytearray(site.files.read("tile/entries/001.p/44"))
    data[-1] ^= 1
    site.files.write("tile/entries/001.p/44", bytes(data))
    with pytest.raises(EvidenceBroken):
        verify_ledger(site.files, POLICY)


def test_sealing_goes_on_when_the_state_was_lost_while_leaves_waited(tmp_path: Path) -> None:
    witnesses = fake_witnesses()
    witnessing = Witnessing(POLICY, witnesses, timeout_s=20)

    def opened() -> Ledger:
        return Ledger.open(tmp_path, origin=ORIGIN, signer=LOG, policy=POLICY)

    with opened() as ledger:
        append(ledger, 250)
        ledger.publish(witnessing.gather(ledger.pending, ledger.log).lines.values())
        append(ledger, 300)
    (tmp_path / "state.json").unlink()
    assert rebuild_state(tmp_path, trust=POLICY, position=300).size == 300
    with opened() as ledger:
        assert ledger.checkpoint.size == 300
        append(ledger, 310)
        ledger.publish(witnessing.gather(ledger.pending, ledger.log).lines.values())
    assert verify_ledger(LedgerDirectory(tmp_path), POLICY).size == 310
