"""A ledger and three witnesses as processes, one a mirror: published only with two of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
from civicbus_audit.cosignature import Cosigner
from civicbus_audit.directory import LedgerDirectory, read_below
from civicbus_audit.ledger import Ledger
from civicbus_audit.quorum import Group, Log, Policy, Witness, open_cosigned
from civicbus_audit.serving.answers import Answering
from civicbus_audit.serving.server import listen
from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import published, verify_ledger
from civicbus_audit.witness.client import HttpWitness, http_witnesses
from civicbus_audit.witness.request import Request
from civicbus_audit.witnessing import Gathered, Stale, Witnessing
from civicbus_schemas.errors import EvidenceBroken, Refused, Unavailable

from tests.fakes.witnesses import (
    HONEST,
    LOG,
    ORIGIN,
    SIGNERS,
    SPLIT,
    RunningWitness,
    free_port,
    running,
)

TOKEN = "t" * 43


class Site:
    """The log's side: its ledger under a policy, and the server that the mirror reads."""

    def __init__(self, folder: Path, witnesses: list[RunningWitness]) -> None:
        self.folder, self.witnesses = folder, witnesses
        names = tuple(witness.name for witness in witnesses)
        self.policy = Policy(
            logs=(Log(verifier=LOG.verifier),),
            witnesses=tuple(
                Witness(name=w.name, cosigner=Cosigner.parse(w.vkey), url=w.url) for w in witnesses
            ),
            groups=(Group(name="quorum", threshold=2, members=names),),
            quorum="quorum",
        )
        self.ledger = Ledger.open(folder, origin=ORIGIN, signer=LOG, policy=self.policy)
        self.witnessing = Witnessing(
            self.policy, http_witnesses(self.policy, timeout_s=20), timeout_s=20, patience_s=20
        )

    def grow(self, size: int) -> Gathered:
        """Append, ask, and publish if that is a quorum."""
        new = HONEST.leaves[self.ledger.position : size]
        self.ledger.append(new, [b""] * len(new), position=size)
        gathered = self.witnessing.gather(self.ledger.pending, self.ledger.log)
        if self.policy.is_satisfied_by(gathered.lines.keys()):
            self.ledger.publish(gathered.lines.values())
        return gathered

    @property
    def size(self) -> int:
        return published(LedgerDirectory(self.folder), self.policy)[0].size


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Size 50 is published; the mirror came to it over HTTP."""
    folder, port = tmp_path_factory.mktemp("quorum"), free_port()
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    source = ("--source", f"http://127.0.0.1:{port}", "--token-file", str(folder / "token"))
    names = ("w1.example", "w2.example", "mirror.example")
    with running(folder, *names, mirror=("--mirror", "copy", *source)) as witnesses:
        made = Site(folder / "ledger", witnesses)
        first = made.grow(50)  # nothing is served before the first publication
        assert sorted(first.lines) == ["w1.example", "w2.example"]
        with served(made, port):
            yield made
        made.witnessing.close()
        made.ledger.close()


@contextmanager
def served(site: Site, port: int) -> Iterator[None]:
    """The proofs' server, until the exit."""
    answering = Answering(partial(read_below, site.folder), site.policy)
    with listen("127.0.0.1", port, answering, token=TOKEN) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_all_three_cosign_and_the_mirror_holds_every_leaf_when_the_log_grows(site: Site) -> None:
    for size in (100, 300):
        assert sorted(site.grow(size).lines) == ["mirror.example", "w1.example", "w2.example"]
        assert site.size == size
        copy = LedgerDirectory(site.witnesses[2].folder / "copy")
        assert verify_ledger(copy, LOG.verifier).size == size
        assert [leaf for _, leaf in StoredLog(copy.read, size).leaves()] == HONEST.leaves[:size]
    note = (site.folder / "checkpoint").read_bytes()
    assert len(open_cosigned(note, site.policy).times_s) == 3


def test_nothing_is_published_until_a_second_witness_is_back_when_two_are_killed(
    site: Site,
) -> None:
    site.grow(400)
    for witness in site.witnesses[:2]:
        witness.kill()
    gathered = site.grow(450)
    assert sorted(gathered.lines) == ["mirror.example"]
    assert all(isinstance(error, Unavailable) for error in gathered.failures.values())
    assert site.size == 400
    assert verify_ledger(LedgerDirectory(site.folder), site.policy).size == 400
    site.witnesses[0].start()
    assert sorted(site.grow(460).lines) == ["mirror.example", "w1.example"]
    assert site.size == 460
    site.witnesses[1].start()
    assert len(site.grow(470).lines) == 3


def test_split_view_rollback_and_rewritten_history_are_refused_by_all_when_the_log_signs_them(
    site: Site,
) -> None:
    site.grow(500)
    for witness in site.witnesses:
        assert witness.post(SPLIT.body(500, 500))[0] == 422
        assert witness.post(SPLIT.body(500, 600))[0] == 422
        assert witness.post(HONEST.body(300, 300)) == (409, "text/x.tlog.size", "500\n")


def test_the_mirror_does_not_cosign_what_it_cannot_read_when_the_log_hides_leaves(
    site: Site,
) -> None:
    """The history is honest, the signatures are good; only the leaves are kept back."""
    size = site.ledger.checkpoint.size
    status, _, text = site.witnesses[2].post(HONEST.body(size, size + 10))
    assert status == 422
    assert "is missing" in text
    assert len(site.grow(size + 20).lines) == 3


def client(url: str | None) -> HttpWitness:
    witness = Witness(name="w", cosigner=SIGNERS[0].cosigner, url=url)
    return HttpWitness(witness, timeout_s=5)


@pytest.mark.parametrize("url", [None, "", "ftp://x", "http://", "http://h/?a", "127.0.0.1:80"])
def test_a_policy_is_refused_when_a_witness_has_no_address_to_ask(url: str | None) -> None:
    with pytest.raises(Refused):
        client(url)


def test_the_kept_connection_is_made_anew_when_the_witness_was_restarted(site: Site) -> None:
    witness = site.witnesses[0]
    asked = client(witness.url)
    size = site.ledger.checkpoint.size
    request = Request(old_size=0, proof=(), note=site.ledger.pending)
    for _ in range(2):
        assert asked.add_checkpoint(request) == Stale(size=size)
    witness.kill()
    with pytest.raises(Unavailable):
        asked.add_checkpoint(request)
    witness.start()
    assert asked.add_checkpoint(request) == Stale(size=size)
    bad = Request(old_size=0, proof=(), note=b"no note\n")
    with pytest.raises(EvidenceBroken, match="400"):
        asked.add_checkpoint(bad)
    asked.close()
