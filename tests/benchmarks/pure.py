"""The release step without a broker: read, decide, cut, record, seal, page, frame. CPU alone.

It runs the product's `release_batch` over states, page log and transactions that do nothing but
keep what they are given; what is left is what Python costs.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from civicbus_audit.vault.cached import CachedVault
from civicbus_consumers.access.plan import compile_plan
from civicbus_consumers.enforcement.broker import Outgoing
from civicbus_consumers.enforcement.deciding import Bench
from civicbus_consumers.enforcement.deliveries import Keys
from civicbus_consumers.enforcement.handler import release_batch
from civicbus_consumers.enforcement.note import Coordinates, Note
from civicbus_consumers.enforcement.rules import Taken
from civicbus_consumers.enforcement.states import ReadyPlan
from civicbus_consumers.recording.chain import Chain
from civicbus_consumers.recording.recorder import Recorder
from civicbus_deploy.provisioning.nation import Nation, load_nation
from civicbus_schemas.codec import AvroType, unframe
from civicbus_schemas.consent import NO_CONSENTS, SubjectConsents
from civicbus_schemas.ids import new_recorder_id
from civicbus_schemas.keyring import PairwiseKeys
from civicbus_schemas.page import Page, Position, key_id
from civicbus_schemas.topics import PARTITIONS, STATE_CONSENT
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.benchmarks import workload
from tests.benchmarks.checks import Given, check_deliveries, read_pages
from tests.benchmarks.clocks import Clocks, Series
from tests.fakes.vault import FakeVault

PAIRWISE, TOPIC_KEY = PairwiseKeys(key=b"p" * 32), b"t" * 32
SIGNER = Ed25519PrivateKey.generate()
SCHEMA_ID = 7
BATCH = 1000


@dataclass(frozen=True)
class CalmStates:
    """States in which nothing happens: one policy, no consents."""

    ready: ReadyPlan
    positions: tuple[Position, ...] = tuple(
        Position(topic=STATE_CONSENT, partition=p, offset=0) for p in range(PARTITIONS)
    )
    untold: tuple[()] = ()

    def catch_up(self) -> tuple[Position, ...]:
        """Always caught up."""
        return self.positions

    def has_news(self) -> bool:
        """Never."""
        return False

    def consents_of(self, key: bytes) -> SubjectConsents:
        """Nobody has consented to anything."""
        del key
        return NO_CONSENTS


@dataclass
class Kept:
    """Where pages and deliveries go: they are kept, and nothing else is done."""

    bodies: list[bytes] = field(default_factory=list)
    produced: list[Outgoing] = field(default_factory=list)

    def check(self) -> None:
        """Everything may be recorded."""

    def append(
        self, body: bytes, *, traceparent: str | None = None, on_sent: object = None
    ) -> None:
        """Keep a page."""
        del traceparent, on_sent
        self.bodies.append(body)

    def begin(self) -> None:
        """Begin."""

    def produce(self, message: Outgoing) -> None:
        """Keep a delivery."""
        self.produced.append(message)

    def send_offsets(
        self, sources: Sequence[Coordinates], positions: Sequence[Position], note: Note
    ) -> None:
        """Send offsets."""

    def commit(self) -> None:
        """Commit."""


def measure(folder: Path, *, rounds: int, events: int) -> Series:
    """Rounds of the release step over the nation in this folder; every delivery is checked."""
    nation = load_nation(folder)
    contract = nation.policy.contracts[workload.BIRTH]
    samples = list(islice(workload.samples(contract, first=0, topic_key=TOPIC_KEY), events))
    taken = _taken(samples)
    series = Series("release path alone")
    for number in range(rounds + 1):
        kept = Kept()
        bench = _bench(nation, kept)
        gc.collect()
        begun = Clocks.now()
        _release(taken, bench)
        measured = Clocks.now().since(begun, events=events)
        if number:  # the first warms up
            series.rounds.append(measured)
        if number in (0, rounds):
            check(samples, kept, folder=folder)
    return series


def run_once(nation: Nation, samples: Sequence[workload.Sample]) -> Kept:
    """What these samples come to, on no clock."""
    kept = Kept()
    _release(_taken(samples), _bench(nation, kept))
    return kept


def check(samples: Sequence[workload.Sample], kept: Kept, *, folder: Path) -> int:
    """Every delivery of a round against the oracle and its record; how many there were."""
    pages = [Page.decode(body) for body in kept.bodies]
    given = [
        Given(record=dict(out.headers)["ce_recordid"].decode(), body=unframe(out.value)[1])
        for out in kept.produced
    ]
    return check_deliveries(
        {sample.id: sample.body for sample in samples},
        given,
        records=read_pages(pages, signer=SIGNER.public_key()),
        expectation=workload.expectation(folder, pairwise_key_of=lambda _: PAIRWISE.key),
    )


def _release(taken: Sequence[Taken], bench: Bench) -> None:
    waiting = list(taken)
    while waiting:
        released = release_batch(waiting[:BATCH], bench)
        waiting[:BATCH] = released.rest


def _taken(samples: Sequence[workload.Sample]) -> list[Taken]:
    return [
        Taken(
            at=Coordinates(workload.SOURCE, sample.partition, offset),
            key=sample.key,
            value=sample.value(SCHEMA_ID),
            headers=sample.headers,
        )
        for offset, sample in enumerate(samples)
    ]


def _bench(nation: Nation, kept: Kept) -> Bench:
    policy = nation.policy
    plan = compile_plan(policy, pairwise_key_of=lambda _: PAIRWISE.key)
    names = [
        (release.agreement.ref, event_type)
        for (_, event_type), planned in plan.types.items()
        for release in planned.releases
    ]
    ready = ReadyPlan(policy=policy, plan=plan, schema_ids=dict.fromkeys(names, SCHEMA_ID))
    # What a registry gives is another object than the plan's contract, as in production.
    writer = AvroType(dict(policy.contracts[workload.BIRTH].document))
    return Bench(
        states=CalmStates(ready),  # type: ignore[arg-type]
        recorder=Recorder(
            kept,
            chain=Chain(process="enforce-0", recorder=new_recorder_id()),
            signer=SIGNER,
            key=key_id(SIGNER.public_key().public_bytes_raw()),
        ),
        releases=kept,  # type: ignore[arg-type]
        keys=Keys(topic=TOPIC_KEY, pairwise_of=lambda _: PAIRWISE),
        vault=CachedVault(FakeVault()),
        type_of=lambda _: writer,
    )
