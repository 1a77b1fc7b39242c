"""A sealing place with witnesses, what scrubbing says of one, and what root can do to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from civicbus_audit.cosignature import Cosigner
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.policy import parse_policy
from civicbus_audit.quorum import Group, Log, Policy, Witness
from civicbus_audit.state import LedgerState
from civicbus_consumers.scrubbing.passing import scrub
from civicbus_consumers.scrubbing.rules import Comparison, Fault
from civicbus_consumers.sealing.app import scrubbed_sides
from civicbus_schemas.page import Page

from tests.fakes.witnesses import LOG, RunningWitness
from tests.integration.sealing_place import SealingPlace
from tests.stack import wait_until


def sealed(place: SealingPlace, size: int) -> None:
    """Wait until so many leaves are published and in the index."""
    wait_until(lambda: place.size() >= size, what=f"{size} leaves under a checkpoint")
    wait_until(lambda: place.indexed() >= size, what=f"{size} rows")


def faults(place: SealingPlace) -> list[Fault]:
    """What a whole pass of the scrubber finds."""
    sides = scrubbed_sides(place.settings, LOG.verifier, topic=place.topic)
    try:
        return list(scrub(sides).faults)
    finally:
        sides.pages.close()


@dataclass(frozen=True)
class Witnessed:
    """A sealing place whose checkpoints two running witnesses cosign."""

    place: SealingPlace
    witnesses: list[RunningWitness]
    backup: Path

    @property
    def ledger(self) -> Path:
        return self.place.ledger_dir

    @property
    def policy(self) -> Policy:
        return parse_policy((self.place.folder / "policy").read_bytes())

    def seal(self, *sent: Page) -> None:
        before = self.place.size()
        self.place.send(*sent)
        with self.place.sealing():
            sealed(self.place, max(before, 0) + 3 * len(sent))

    def faults(self) -> set[Comparison]:
        return {fault.comparison for fault in faults(self.place)}


def forget(witness: RunningWitness) -> None:
    """What whoever can write its store can do to a running witness."""
    with closing(sqlite3.connect(witness.folder / "store.db")) as store, store:
        store.execute("delete from held")


def policy_of(witnesses: list[RunningWitness]) -> Policy:
    """Both must cosign."""
    return Policy(
        logs=(Log(verifier=LOG.verifier),),
        witnesses=tuple(
            Witness(name=w.name, cosigner=Cosigner.parse(w.vkey), url=w.url) for w in witnesses
        ),
        groups=(Group(name="all", threshold=2, members=tuple(w.name for w in witnesses)),),
        quorum="all",
    )


def forge(folder: Path, leaves: list[bytes], state: LedgerState) -> None:
    """A ledger of these leaves that says it was sealed from the same topic."""
    signer = Signer(LOG.verifier.name, LOG._key)
    with Ledger.open(folder, origin=state.origin, signer=signer) as ledger:
        ledger.append(
            leaves, [b""] * len(leaves), position=state.position, memory=dict(state.memory)
        )
