"""Step 3 of a release: decide for every event of a batch, and record each decision on one page.

Nothing leaves here: what is decided waits in a `Batch` until `handler` has made its page durable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from civicbus_audit.vault.port import Vault
from civicbus_schemas.page import PageRef, Position
from civicbus_schemas.record import Positions, Source
from civicbus_schemas.subject import Secrets
from civicbus_schemas.topics import MAX_PAGE_BYTES, STATE_CONSENT, SourceTopic
from civicbus_schemas.vocabulary import Reason

from civicbus_consumers.access.limits import Allowances
from civicbus_consumers.access.people import until_tomorrow_s
from civicbus_consumers.consent.uses import NoneLeft, Reservations, Use, is_counted
from civicbus_consumers.enforcement.broker import Releases
from civicbus_consumers.enforcement.clock import (
    AT_LEAST_S,
    DECIDING_S,
    SYSTEM_CLOCK,
    Clock,
    Moment,
)
from civicbus_consumers.enforcement.deliveries import Delivery, Keys
from civicbus_consumers.enforcement.note import Coordinates
from civicbus_consumers.enforcement.rules import (
    DeadLetter,
    Event,
    Taken,
    TypeOf,
    read_event,
    record_letter,
    release_event,
)
from civicbus_consumers.enforcement.states import States, offset_of
from civicbus_consumers.enforcement.tracing import BatchTrace
from civicbus_consumers.enforcement.uses import places_for, reserve_for, reserved_for
from civicbus_consumers.recording.pages import PageBuilder
from civicbus_consumers.recording.recorder import Recorder

READ_AHEAD = 100
"""Events that are read before the vault is asked about all their people."""


@dataclass(slots=True, kw_only=True)
class Bench:
    """What the release step works with; `committed` are the state positions last committed."""

    states: States
    recorder: Recorder
    releases: Releases
    keys: Keys
    vault: Vault
    type_of: TypeOf
    reservations: Reservations = field(default_factory=NoneLeft)
    people: Reservations = field(default_factory=NoneLeft)
    clock: Clock = SYSTEM_CLOCK
    allowances: Allowances = field(default_factory=lambda: Allowances(begun=datetime.now(UTC)))
    committed: tuple[Position, ...] = ()


@dataclass(frozen=True, slots=True)
class _Paused:
    """An event that an agreement's limit does not let through yet; nothing of it was kept."""

    wait_s: float


@dataclass(slots=True, kw_only=True)
class Batch:
    """A batch while it is being decided."""

    page: PageBuilder
    decided: Moment
    granted: frozenset[Use]
    held: frozenset[Coordinates]
    deliveries: list[tuple[Event, Delivery]] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    next_offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    events: int = 0
    wait_s: float = 0.0
    written: PageRef | None = None


def decide_batch(
    taken: Sequence[Taken],
    bench: Bench,
    positions: tuple[Position, ...],
    *,
    condemned: Coordinates | None,
    trace: BatchTrace,
) -> tuple[Batch, Sequence[Taken]]:
    """Decide until the page is full, time is up, or a limit is reached; and what is left.

    Where a newer state has arrived, time is up sooner, for its fence waits.
    """
    decided, reader = bench.clock.moment(), _Reader(bench, condemned)
    judged_ones = [message for message in taken if message.at != condemned]
    held = _hold(judged_ones, bench, decided, reader=reader)
    granted = _reserve([m for m in judged_ones if m.at not in held], bench, decided, reader=reader)
    page = bench.recorder.open_page(decided.at)
    batch = Batch(page=page, decided=decided, granted=granted, held=held)
    size_bytes, leaves = 0, 0
    for message, read, secrets in _read(taken, bench, decided, reader=reader):
        if size_bytes > MAX_PAGE_BYTES:
            break
        if isinstance(read, DeadLetter):
            judged: list[Delivery] | DeadLetter | _Paused = read
        else:
            judged = _judge(
                message,
                read,
                bench,
                positions=positions,
                secrets=secrets,
                batch=batch,
                trace=trace,
            )
        if isinstance(judged, _Paused):
            batch.wait_s = judged.wait_s
            break
        if isinstance(judged, DeadLetter):
            record_letter(judged, bench.states.ready.plan, page=batch.page)
            batch.letters.append(judged)
        batch.events += 1
        batch.next_offsets[message.at.topic, message.at.partition] = message.at.offset + 1
        size_bytes += batch.page.size_of(leaves)
        leaves = len(batch.page.leaves)
    return batch, taken[batch.events :]


def _is_over(decided: Moment, states: States) -> bool:
    elapsed_s = decided.elapsed_s()
    return elapsed_s > DECIDING_S or (elapsed_s > AT_LEAST_S and states.has_news())


class _Reader:
    """Reads each message of a batch once, when it is first asked for."""

    def __init__(self, bench: Bench, condemned: Coordinates | None) -> None:
        self._bench, self._plan, self._condemned = bench, bench.states.ready.plan, condemned
        self._known: dict[Coordinates, Event | DeadLetter] = {}

    def read(self, message: Taken) -> Event | DeadLetter:
        """What the message says; the condemned one stays unread."""
        if message.at not in self._known:
            self._known[message.at] = self._read(message)
        return self._known[message.at]

    def _read(self, message: Taken) -> Event | DeadLetter:
        if message.at == self._condemned:
            return _condemn(message)
        bench = self._bench
        return read_event(message, self._plan, type_of=bench.type_of, topic_key=bench.keys.topic)


def _hold(
    taken: Sequence[Taken], bench: Bench, decided: Moment, *, reader: _Reader
) -> frozenset[Coordinates]:
    """The events whose person has no place left in the day of an agreement that may have them."""
    plan, limited, events = bench.states.ready.plan, [], []
    for message in taken if plan.subjects_per_day else ():
        event = reader.read(message)
        if isinstance(event, Event):
            key = message.key or b""
            limited.append(message.at)
            events.append((event, key, bench.states.consents_of(key)))
    let = places_for(events, plan, decided.at, people=bench.people)
    return frozenset(at for at, has in zip(limited, let, strict=True) if not has)


def _reserve(
    taken: Sequence[Taken], bench: Bench, decided: Moment, *, reader: _Reader
) -> frozenset[Use]:
    """Reserve the uses that decisions will rest on; nobody is asked where nothing is counted."""
    plan, counted = bench.states.ready.plan, []
    for message in taken:
        consents = bench.states.consents_of(message.key or b"")
        if is_counted(consents):
            event = reader.read(message)
            if isinstance(event, Event):
                counted.append((event, consents))
    return reserve_for(counted, plan, decided.at, reservations=bench.reservations)


def _read(
    taken: Sequence[Taken], bench: Bench, decided: Moment, *, reader: _Reader
) -> Iterator[tuple[Taken, Event | DeadLetter, Secrets]]:
    """Each message as it reads, until time is up, and the secrets of its people and others.

    The vault is asked about many messages at once; what was read for it is decided in any case.
    """
    for first in range(0, len(taken), READ_AHEAD):
        read = list[tuple[Taken, Event | DeadLetter]]()
        for message in taken[first : first + READ_AHEAD]:
            if (first or read) and _is_over(decided, bench.states):
                break
            read.append((message, reader.read(message)))
        people = {who for _, one in read if isinstance(one, Event) for who in one.subjects}
        secrets = bench.vault.get_or_create(people)
        yield from ((message, one, secrets) for message, one in read)
        if len(read) < READ_AHEAD:
            return


def _judge(
    message: Taken,
    event: Event,
    bench: Bench,
    *,
    positions: tuple[Position, ...],
    secrets: Secrets,
    batch: Batch,
    trace: BatchTrace,
) -> list[Delivery] | DeadLetter | _Paused:
    if message.at in batch.held:
        return _Paused(until_tomorrow_s(batch.decided.at))
    plan, before = bench.states.ready.plan, len(batch.page.leaves)
    judged = release_event(
        event,
        plan,
        consents=bench.states.consents_of(message.key or b""),
        positions=Positions(consent=offset_of(positions, STATE_CONSENT, message.at.partition)),
        keys=bench.keys,
        secrets=secrets,
        page=batch.page,
        has_use=reserved_for(event.source, batch.granted, batch.decided.at),
    )
    if isinstance(judged, list):
        released = (delivery.agreement for delivery in judged)
        wait_s = bench.allowances.take(released, plan.per_second, batch.page.at)
        if wait_s:
            batch.page.forget_after(before)
            return _Paused(wait_s)
        trace.begin_event(event, judged)
        batch.deliveries += [(event, delivery) for delivery in judged]
    return judged


def _condemn(message: Taken) -> DeadLetter:
    at = message.at
    return DeadLetter(
        source=Source(topic=at.topic, partition=at.partition, offset=at.offset),
        provider=SourceTopic.parse(at.topic).agency,
        reason=Reason.CRASH_LOOP,
        value=message.value,
    )
