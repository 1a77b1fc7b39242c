"""One act upon a consent: judged, recorded, and only then done. Read this one first.

The steps are numbered as in `settle`. What could not be recorded does not happen (invariant I1);
what was recorded and not committed is told by the chain of pages as not released.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from civicbus_audit.merkle import leaf_hash
from civicbus_audit.vault.port import Vault
from civicbus_schemas.errors import BusError, Retryable
from civicbus_schemas.ids import AgencyId, Pin, new_event_id
from civicbus_schemas.page import Page
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.subject import Secrets, person
from civicbus_schemas.vocabulary import ConsentAct

from civicbus_consumers.consent.registry.acts import (
    Accepted,
    Alter,
    Demand,
    Give,
    Held,
    Refused,
    Repeated,
    Situation,
    Standing,
    Verdict,
)
from civicbus_consumers.consent.registry.events import is_told
from civicbus_consumers.consent.registry.records import record_act, secret_of
from civicbus_consumers.consent.registry.rows import Proof
from civicbus_consumers.consent.registry.rules import judge
from civicbus_consumers.consent.registry.sealing import RowSeal
from civicbus_consumers.consent.registry.store import Entry, RegistryStore
from civicbus_consumers.consent.registry.terms import DataAgreement, Key, derive_data_agreements
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.database import View
from civicbus_consumers.recording.naming import NameAllowance
from civicbus_consumers.recording.recorder import Recorder

T = TypeVar("T")

_KEPT = (Standing.GIVEN, Standing.PAUSED)


class NotDone(Retryable):
    """Nothing was changed; `code` says why."""

    def __init__(self, code: Code, cause: BusError) -> None:
        super().__init__(f"consents are not changed: {code}", got=type(cause).__name__)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A demand, by whom, and the id of the token it came with."""

    demand: Demand
    asker: AgencyId
    jti: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of a demand; `proof` names its record, where one was made now."""

    verdict: Verdict
    proof: Proof | None = None


class Catalog:
    """The data agreements of the newest policy set, each kept as a revision before it is shown."""

    def __init__(self, store: RegistryStore, policy: Callable[[], PolicySet]) -> None:
        self._store, self._policy = store, policy
        self._known: tuple[PolicySet, Mapping[Key, DataAgreement]] | None = None

    def current(self) -> tuple[PolicySet, Mapping[Key, DataAgreement]]:
        """The policy set and its data agreements; raises `Unavailable`."""
        policy = self._policy()
        if self._known is None or self._known[0].version != policy.version:
            agreements = derive_data_agreements(policy)
            at = datetime.now(UTC)
            self._store.note_agreements(list(agreements.values()), policy=policy.version, at=at)
            self._known = policy, agreements
        return self._known


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What acts are judged and done with. `process` names the chain of pages."""

    store: RegistryStore
    view: View
    catalog: Catalog
    registrar: AgencyId
    topic_key: bytes
    vault: Vault
    seal: RowSeal
    process: str
    names: NameAllowance = field(default_factory=NameAllowance)


def settle(asked: Asked, bench: Bench, *, recorder: Recorder) -> Settled:
    """Judge, record, do. Raises `NotDone` with nothing changed, and what ends the process.

    After an error the recorder is of no more use: its last page may be durable, and not released.
    """
    demand = asked.demand
    signer = None if not isinstance(demand, Give | Alter) else demand.signer
    name = topic_pseudonym(bench.topic_key, demand.pin)
    # 1. Know the data agreements.
    policy, agreements = _failing(Code.CANNOT_DECIDE, bench.catalog.current)
    # 2. Read everybody concerned in one snapshot.
    pins = [demand.pin] if signer is None else [demand.pin, signer.pin]
    seen = _failing(Code.VIEW_UNAVAILABLE, lambda: bench.view.read(pins), BusError)
    # Know them in records: what cannot name them cannot tell of them.
    asked_at = datetime.now(UTC)
    secrets = _failing(
        Code.CANNOT_RECORD, lambda: bench.vault.get_or_create([person(pin) for pin in pins])
    )
    bench.names.charge(asked.asker, secrets.values(), since=asked_at)
    # 3. Hold the person's consents still until the end.
    try:
        with bench.store.entry(name) as entry:
            at = datetime.now(UTC)
            held = entry.find(demand.id)
            situation = Situation(
                asker=asked.asker,
                registrar=bench.registrar,
                agreements=agreements,
                held=held,
                subject=seen.persons.get(demand.pin),
                signer=None if signer is None else seen.persons.get(signer.pin),
                subject_name=name,
                signer_name=topic_pseudonym(bench.topic_key, signer.pin) if signer else None,
                ended=entry.is_ended(),
                at=at,
            )
            # 4. Judge; what was done before is not done again.
            verdict = judge(demand, situation)
            if isinstance(verdict, Repeated):
                return Settled(verdict=verdict)
            # 5. One page; go on only when it is durable.
            mine = held if held is not None and held.subject == name else None
            page, proof = _record(
                asked, verdict, secrets, held=mine, policy=policy, at=at, recorder=recorder
            )
            # 6. Do it, with the event and the page in the same transaction.
            if isinstance(verdict, Accepted):
                _save(verdict.after, demand, bench, entry=entry, proof=proof)
            entry.remember_released(bench.process, recorder.chain.ref(page))
    except Retryable as error:
        if isinstance(error, NotDone):
            raise
        raise NotDone(Code.CANNOT_DECIDE, error) from error
    # 7. It is done: the next page says so.
    recorder.mark_released(page)
    return Settled(verdict=verdict, proof=proof)


def end_life(pin: Pin, bench: Bench, *, recorder: Recorder) -> int:
    """End what a dead person consented to, and signed for others; how many consents ended.

    From the first step on nothing is given in that person's name. May be called again.
    """
    name = topic_pseudonym(bench.topic_key, pin)
    with bench.store.entry(name) as entry:
        entry.end(datetime.now(UTC))
    own = [(held.id, pin) for held in bench.store.of_subject(name) if held.standing in _KEPT]
    others = [
        (held.id, Pin(bench.seal.open(sealed, of=held.id).decode()))
        for held, sealed in bench.store.signed_for_others(name)
    ]
    for id_, whose in own + others:
        demand = Alter(act=ConsentAct.WITHDRAW, id=id_, pin=whose, signer=None)
        settle(Asked(demand=demand, asker=bench.registrar), bench, recorder=recorder)
    return len(own) + len(others)


def _record(
    asked: Asked,
    verdict: Accepted | Refused,
    secrets: Secrets,
    *,
    held: Held | None,
    policy: PolicySet,
    at: datetime,
    recorder: Recorder,
) -> tuple[Page, Proof]:
    """The act's page, durable, and what names the record in it."""
    demand = asked.demand
    signer = None if not isinstance(demand, Give | Alter) else demand.signer
    signed_by = secrets[person(signer.pin)].pseudonym if signer else None
    secret = secret_of(demand, signer=signed_by)
    builder, under = recorder.open_page(at), secrets[person(demand.pin)]
    stamp = builder.stamp()
    record = record_act(
        demand,
        verdict,
        asker=asked.asker,
        held=held,
        subject=under.pseudonym,
        policy=policy.version,
        jti=asked.jti,
        secret=secret,
        stamp=stamp,
    )
    leaf = builder.add(record, stamp=stamp, secret=secret, under=under)
    try:
        page = recorder.write(builder, policy=policy.version, positions=())
    except BusError as error:
        raise NotDone(Code.CANNOT_RECORD, error) from error
    return page, Proof(record_id=stamp.id, leaf_hash=leaf_hash(leaf).hex())


def _save(after: Held, demand: Demand, bench: Bench, *, entry: Entry, proof: Proof) -> None:
    """The number is kept, sealed, until it is published, and as long as a guardian's death counts.

    Nothing else in the registry's tables names a person.
    """
    number = demand.pin.number.encode()
    event = None
    if is_told(after.act):
        event_id = new_event_id()
        event = event_id, bench.seal.close(number, of=event_id)
    by_guardian = after.standing in _KEPT and after.signer not in {None, after.subject}
    kept = bench.seal.close(number, of=after.id) if by_guardian else None
    entry.save(after, proof=proof, event=event, number=kept)


def _failing(code: Code, ask: Callable[[], T], error_class: type[BusError] = Retryable) -> T:
    try:
        return ask()
    except error_class as error:
        raise NotDone(code, error) from error
