"""A ledger of some bundles with index commits and a leaf that prunes the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

from civicbus_audit.completeness.commit import Tally
from civicbus_audit.ledger import Ledger
from civicbus_audit.merkle import CompactRange, leaf_hash
from civicbus_audit.pruning import PRUNER
from civicbus_schemas.ids import AgencyId, RecorderId
from civicbus_schemas.record import Actor, Record
from civicbus_schemas.vocabulary import RecordKind

from tests.fakes.durable_files import FakeDurableFiles
from tests.fakes.pages import AT, FakeRecorder, decision
from tests.unit.completeness_samples import LOG, ORIGIN

OFFICER = "0ff1ce" + "0" * 26


def prune_record(first: int, root: bytes) -> Record:
    """What a leaf says that prunes what is before `first`."""
    return replace(
        decision(),
        kind=RecordKind.RETENTION_PRUNE,
        actor=Actor(agency=AgencyId("moj"), system="audit", role="supervisor", officer=OFFICER),
        recipient=None,
        subject=None,
        agreement=None,
        event=None,
        dataset=None,
        purpose=None,
        basis=None,
        fields=(),
        rows=first,
        payload_hash=root.hex(),
        rule="keep-years:10",
    )


@dataclass(slots=True)
class Growing:
    """Leaves as sealing makes them; `commits` are the places of index commits."""

    leaves: list[bytes]
    commits: list[int]
    tally: Tally

    @classmethod
    def new(cls) -> Growing:
        """No leaves yet."""
        return cls(leaves=[], commits=[], tally=Tally(0))

    def copy(self) -> Growing:
        """The same, to go on with."""
        tally = Tally(self.commits[-1])
        for leaf in self.leaves[self.commits[-1] :]:
            tally.add(leaf)
        return Growing(leaves=[*self.leaves], commits=deepcopy(self.commits), tally=tally)

    def page(self, recorder: FakeRecorder, *records: Record) -> None:
        """A page more."""
        page = recorder.write(*records)
        self.add(page.header, *page.records)

    def add(self, *leaves: bytes) -> None:
        """Leaves more, whatever they are."""
        for leaf in leaves:
            self.tally.add(leaf)
        self.leaves += leaves

    def commit(self) -> None:
        """An index commit of what is behind the last."""
        leaf = self.tally.commit(AT).encode()
        self.commits.append(len(self.leaves))
        self.tally = Tally(len(self.leaves))
        self.add(leaf)

    def prune(self, first: int, *, process: str = PRUNER, root: bytes | None = None) -> int:
        """A page that says so; the number of the leaf."""
        recorder = FakeRecorder(RecorderId(f"{len(self.leaves):032x}"), process=process)
        record = prune_record(first, root or root_of(self.leaves[:first]))
        self.page(recorder, decision(), record)
        return len(self.leaves) - 1


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of a log of these leaves."""
    return CompactRange().extended(map(leaf_hash, leaves)).root()


def grown(bundles: int = 3) -> Growing:
    """Leaves of so many bundles, a commit in each, and an open range behind the last."""
    growing, recorder = Growing.new(), FakeRecorder(RecorderId("a" * 32))
    for bundle in range(bundles):
        people = (f"{n % 40:032x}" for n in range(200))
        growing.page(recorder, *(decision(subject=p, minutes=60 * bundle) for p in people))
        growing.commit()
        growing.page(recorder, *(decision(subject=f"{n:032x}") for n in range(60)))
    return growing


def opened(files: FakeDurableFiles) -> Ledger:
    """The ledger in these files."""
    return Ledger.open(Path("nowhere"), origin=ORIGIN, signer=LOG, files=files)


def stored(
    leaves: Sequence[bytes], files: FakeDurableFiles | None = None, *, at_once: int = 200
) -> FakeDurableFiles:
    """A ledger of these leaves, published; it grew by so many at once."""
    files = files or FakeDurableFiles()
    with opened(files) as ledger:
        for start in range(ledger.checkpoint.size, len(leaves), at_once):
            more = leaves[start : start + at_once]
            ledger.append(more, [b"sealed"] * len(more), position=start)
    return files
