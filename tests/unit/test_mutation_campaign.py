"""Every single mutation of evidence is found, and what is whole raises no alarm.

Sixty mutations here, a thousand and a thousand clean runs in `make campaign`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from civicbus_audit import verify
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signature, parse_signature
from civicbus_audit.quorum import Witness as Known
from civicbus_audit.sealer import Sealer
from civicbus_audit.sequencing import PageMessage
from civicbus_audit.witness.request import Request, format_request
from civicbus_audit.witness.rules import Refusal, Status
from civicbus_audit.witness.store import WitnessStore
from civicbus_audit.witness.witness import Witness
from civicbus_audit.witnessing import Stale, Witnessing
from civicbus_consumers.scrubbing import passing
from civicbus_consumers.scrubbing.passing import Sides, scrub
from civicbus_consumers.scrubbing.rules import Comparison
from civicbus_schemas.errors import EvidenceBroken
from civicbus_schemas.ids import RecorderId

from tests.campaign import Rounds
from tests.fakes.page_topic import FakePages
from tests.fakes.pages import AT, PUBLIC_KEYS, FakeRecorder, decision, messages
from tests.fakes.witnesses import LOG, ORIGIN, SIGNERS, policy_of
from tests.mutations import file_mutated, state_lost, store_mutated, topic_mutated

MUTATIONS, CLEAN = 60, 20  # in one round; `make campaign` has a thousand of each
POLICY = policy_of(SIGNERS[:2])
Mutation = Callable[[Random], AbstractContextManager[str]]


class LocalWitness:
    """A real witness with a store on the disk, asked without a network."""

    def __init__(self, index: int, folder: Path) -> None:
        self.file = folder / f"witness-{index}.db"
        self.store = WitnessStore(self.file)
        self._witness = Witness(
            signer=SIGNERS[index], logs={ORIGIN: LOG.verifier}, store=self.store
        )
        self.name, self.cosigner = SIGNERS[index].cosigner.name, SIGNERS[index].cosigner

    def add_checkpoint(self, request: Request) -> tuple[Signature, ...] | Stale:
        match self._witness.add_checkpoint(format_request(request)):
            case Refusal(status=Status.STALE, size=int() as size):
                return Stale(size=size)
            case Refusal(why=why):
                raise EvidenceBroken(why)
            case line:
                return (parse_signature(line.removesuffix("\n")),)

    def close(self) -> None:
        self.store.close()


class Site:
    """A topic, its ledger with two witnesses, and pages that wait for them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pages = folder, FakePages([])
        self.recorder = FakeRecorder(RecorderId("a" * 32))
        self.witnesses = [LocalWitness(index, folder) for index in range(2)]
        (folder / "dsn").write_text("postgresql://bus:x@127.0.0.1:1/none")
        self.sides = Sides(
            ledger_dir=folder / "ledger",
            trust=POLICY,
            log=LOG.verifier,
            dsn_file=folder / "dsn",
            pages=self.pages,
            fetch=self._fetch,
        )

    def grow(self, *records: int, publish: bool, junk: bool = False) -> None:
        """Seals pages with so many records each, and perhaps lets the witnesses cosign."""
        held = self.pages.messages
        for count in records:
            page = self.recorder.write(*[decision()] * count)
            held += messages(page, start=len(held))
        if junk:
            held.append(PageMessage(offset=len(held), at=AT, value=b"no page at all, but bytes"))
        with Ledger.open(self.sides.ledger_dir, origin=ORIGIN, signer=LOG, policy=POLICY) as ledger:
            Sealer(ledger, keys=PUBLIC_KEYS).seal(held)
            if publish:
                gathered = Witnessing(POLICY, self.witnesses).gather(ledger.pending, ledger.log)
                ledger.publish(gathered.lines.values())

    def found_by(self, *, since: timedelta | None = None) -> str | None:
        """Which comparison finds that something is wrong; None if none does."""
        passed = scrub(self.sides, since=None if since is None else AT + since)
        assert passed.faults or set(passed.troubles) == {Comparison.INDEX}, passed.troubles
        return next((fault.comparison.value for fault in passed.faults), None)

    def _fetch(self, known: Known, origin: str) -> bytes | None:
        """As over HTTP, where a store that contradicts itself is answered with 503."""
        (witness,) = (one for one in self.witnesses if one.name == known.name)
        return witness.store.find_note(origin)

    def close(self) -> None:
        for witness in self.witnesses:
            witness.close()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """304 leaves published, so that tiles are full and partial, and three that wait."""
    monkeypatch.setattr(verify, "_PUBLISHING_S", 0.0)
    monkeypatch.setattr(passing, "_SEALING_S", 0.0)
    site = Site(tmp_path)
    site.grow(100, 99, publish=True, junk=True)
    site.grow(100, 0, publish=True)
    site.grow(2, publish=False)
    return site


@pytest.mark.crash
def test_every_mutation_of_evidence_is_found(site: Site, rounds: Rounds, seed: int) -> None:
    draw, finders = Random(seed), Counter[str]()  # noqa: S311
    kinds: list[Mutation] = [
        lambda draw: topic_mutated(site.pages, draw),
        lambda draw: file_mutated(site.sides.ledger_dir, draw),
        lambda draw: file_mutated(site.sides.ledger_dir, draw),
        lambda draw: store_mutated(draw.choice(site.witnesses).file, draw),
        lambda draw: state_lost(site.sides.ledger_dir, draw),
    ]
    for number in rounds.times(10, least=MUTATIONS):
        with draw.choice(kinds)(draw) as what:
            found = site.found_by()
        assert found is not None, f"mutation {number} of seed {seed} was not found: {what}"
        finders[found] += 1
    assert site.found_by() is None
    print(f"seed {seed}: {sum(finders.values())} mutations found by {dict(finders)}")  # noqa: T201


@pytest.mark.crash
def test_no_clean_run_raises_an_alarm(site: Site, rounds: Rounds, seed: int) -> None:
    """It grows by pages of any length, published or not, with repetitions and with nonsense."""
    draw = Random(seed)  # noqa: S311
    for number in rounds.times(10, least=CLEAN):
        sizes = [draw.randrange(6) for _ in range(draw.randrange(3))]
        site.grow(*sizes, publish=draw.random() < 0.7, junk=draw.random() < 0.2)
        if draw.random() < 0.3:
            again = draw.choice(site.pages.messages)
            site.pages.messages.append(replace(again, offset=len(site.pages.messages)))
            site.grow(publish=True)
        hot = draw.choice([None, timedelta(0), timedelta(hours=1)])
        found = site.found_by(since=hot)
        assert found is None, f"clean run {number} of seed {seed}: {found}"
