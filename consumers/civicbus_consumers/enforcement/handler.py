"""The release step: decide, record, release. Read this one first.

The steps are numbered as in the design ("The way of an event"). What happens when the process dies
after a step is written beside it; `tests/invariants` kills it there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from civicbus_schemas.page import Page, PageRef, Position
from civicbus_schemas.record import Positions, Source
from civicbus_schemas.topics import MAX_PAGE_BYTES, STATE_CONSENT, SourceTopic
from civicbus_schemas.vocabulary import Reason

from civicbus_consumers.access.limits import Allowances
from civicbus_consumers.consent.uses import NoneLeft, Reservations, Use, is_counted
from civicbus_consumers.enforcement.broker import Releases
from civicbus_consumers.enforcement.clock import (
    DECIDING_S,
    SYSTEM_CLOCK,
    Abandoned,
    Clock,
    Moment,
)
from civicbus_consumers.enforcement.deliveries import Delivery, Keys
from civicbus_consumers.enforcement.endings import hold_back
from civicbus_consumers.enforcement.note import FRESH, Coordinates, Note
from civicbus_consumers.enforcement.outgoing import frame_delivery, letter_message
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
from civicbus_consumers.enforcement.uses import reserve_for, reserved_for
from civicbus_consumers.recording.pages import PageBuilder
from civicbus_consumers.recording.recorder import Recorder


class Step(StrEnum):
    """Where a batch stands; `on_step` is told, and kills the process in tests."""

    TAKEN = "taken"
    DECIDED = "decided"
    PAGE_SENT = "page-sent"
    PAGE_ACKNOWLEDGED = "page-acknowledged"
    PRODUCED = "produced"
    OFFSETS_SENT = "offsets-sent"
    COMMITTED = "committed"


OnStep = Callable[[Step], None]


def nothing(step: Step) -> None:
    """What `on_step` does in production."""


@dataclass(slots=True, kw_only=True)
class Bench:
    """What the release step works with; `committed` are the state positions last committed."""

    states: States
    recorder: Recorder
    releases: Releases
    keys: Keys
    type_of: TypeOf
    reservations: Reservations = field(default_factory=NoneLeft)
    clock: Clock = SYSTEM_CLOCK
    allowances: Allowances = field(default_factory=lambda: Allowances(begun=datetime.now(UTC)))
    committed: tuple[Position, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What became of a batch: counts for metrics, and the messages that did not fit.

    Where `events` is 0 an agreement's limit let none through; the first may in `wait_s`.
    """

    page: Page | None
    events: int
    delivered: int
    dead_letters: int
    rest: tuple[Taken, ...] = ()
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Paused:
    """An event that an agreement's limit does not let through yet; nothing of it was kept."""

    wait_s: float


@dataclass(slots=True, kw_only=True)
class _Batch:
    """A batch while it is being decided."""

    page: PageBuilder
    decided: Moment
    granted: frozenset[Use]
    deliveries: list[tuple[Event, Delivery]] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    next_offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    events: int = 0
    wait_s: float = 0.0
    written: PageRef | None = None


def release_batch(
    taken: Sequence[Taken],
    bench: Bench,
    *,
    note: Note = FRESH,
    condemned: Coordinates | None = None,
    on_step: OnStep = nothing,
) -> Released:
    """Decide, record and release these messages, or raise and release nothing of them.

    Raises `Abandoned` when that takes too long; the transaction is then none, or aborted in order.

    `note` is what the commit says of attempts; `condemned` is an event that crashed its worker
    alone, and is set aside unread.
    """
    # 2. The batch is taken. Death: nothing has happened.
    on_step(Step.TAKEN)
    # 3. Catch up with the state topics, fix one time, reserve uses, decide for every agreement.
    #    Death: uses stay reserved for these events, which come again and find them.
    positions = bench.states.catch_up()
    trace = BatchTrace()
    batch, rest = _decide(taken, bench, positions, condemned=condemned, trace=trace)
    on_step(Step.DECIDED)
    if not batch.events:
        trace.end()
        return Released(
            page=None, events=0, delivered=0, dead_letters=0, rest=tuple(rest), wait_s=batch.wait_s
        )
    # 4. One page holds the records; wait until it is durable. Death before the acknowledgement:
    #    a page without release may be there; nothing has been produced.
    page = _write_page(batch, bench, positions, trace=trace, on_step=on_step)
    # 5. One transaction. Death: it aborts; readers who skip isolation may have seen deliveries,
    #    whose records are durable.
    batch.decided.require_prompt()
    _release(batch, bench, positions, note=note, trace=trace, on_step=on_step)
    # 6. The next page says that this one was released. Death before it: the successor says so,
    #    from the note.
    if page is not None:
        bench.recorder.mark_released(page)
    trace.end()
    return Released(
        page=page,
        events=batch.events,
        delivered=len(batch.deliveries),
        dead_letters=len(batch.letters),
        rest=tuple(rest),
    )


def _write_page(
    batch: _Batch,
    bench: Bench,
    positions: tuple[Position, ...],
    *,
    trace: BatchTrace,
    on_step: OnStep,
) -> Page | None:
    """The durable page; None where nothing was to be recorded."""
    if not batch.page.leaves:
        return None
    page = bench.recorder.write(
        batch.page,
        policy=bench.states.ready.plan.policy,
        positions=positions,
        traceparent=trace.page_traceparent(),
        on_sent=lambda: on_step(Step.PAGE_SENT),
    )
    on_step(Step.PAGE_ACKNOWLEDGED)
    batch.written = bench.recorder.chain.ref(page)
    return page


def _release(
    batch: _Batch,
    bench: Bench,
    positions: tuple[Position, ...],
    *,
    note: Note,
    trace: BatchTrace,
    on_step: OnStep,
) -> None:
    """Deliveries, dead letters, source offsets, state positions and the note: all or nothing."""
    bench.releases.begin()
    for event, delivery in batch.deliveries:
        traceparent = trace.traceparent_for(event, delivery)
        bench.releases.produce(
            frame_delivery(delivery, bench.states.ready, traceparent=traceparent)
        )
        on_step(Step.PRODUCED)
    for letter in batch.letters:
        bench.releases.produce(letter_message(letter))
        on_step(Step.PRODUCED)
    offsets = [Coordinates(t, p, offset) for (t, p), offset in batch.next_offsets.items()]
    passed = hold_back(positions, bench.states.untold)
    bench.releases.send_offsets(offsets, passed, signed_off(note, batch.written, bench))
    on_step(Step.OFFSETS_SENT)
    try:
        batch.decided.require_prompt()
    except Abandoned:
        bench.releases.abort()
        raise
    bench.releases.commit()
    bench.committed = passed
    on_step(Step.COMMITTED)


def signed_off(note: Note, page: PageRef | None, bench: Bench) -> Note:
    """The note with the newest page that this commit releases, or that was released before."""
    chain = bench.recorder.chain
    return replace(note, page=page or chain.released or chain.closes)


def commit_positions(bench: Bench, positions: tuple[Position, ...], *, note: Note) -> None:
    """Commit the state positions alone, as idle groups do, so that fences pass them."""
    passed = hold_back(positions, bench.states.untold)
    bench.releases.begin()
    bench.releases.send_offsets([], passed, signed_off(note, None, bench))
    bench.releases.commit()
    bench.committed = passed


def _decide(
    taken: Sequence[Taken],
    bench: Bench,
    positions: tuple[Position, ...],
    *,
    condemned: Coordinates | None,
    trace: BatchTrace,
) -> tuple[_Batch, Sequence[Taken]]:
    """Decide until the page is full, time is up, or a limit is reached; and what is left."""
    decided = bench.clock.moment()
    granted = _reserve([m for m in taken if m.at != condemned], bench, decided)
    page = bench.recorder.open_page(decided.at)
    batch = _Batch(page=page, decided=decided, granted=granted)
    size_bytes, leaves = 0, 0
    for index, message in enumerate(taken):
        if size_bytes > MAX_PAGE_BYTES or (index and decided.elapsed_s() > DECIDING_S):
            return batch, taken[index:]
        if message.at == condemned:
            judged: list[Delivery] | DeadLetter | _Paused = _condemn(message)
        else:
            judged = _judge(message, bench, positions, batch=batch, trace=trace)
        if isinstance(judged, _Paused):
            batch.wait_s = judged.wait_s
            return batch, taken[index:]
        if isinstance(judged, DeadLetter):
            record_letter(judged, bench.states.ready.plan, page=batch.page)
            batch.letters.append(judged)
        batch.events += 1
        batch.next_offsets[message.at.topic, message.at.partition] = message.at.offset + 1
        size_bytes += batch.page.size_of(leaves)
        leaves = len(batch.page.leaves)
    return batch, ()


def _reserve(taken: Sequence[Taken], bench: Bench, decided: Moment) -> frozenset[Use]:
    """Reserve the uses that decisions will rest on; nobody is asked where nothing is counted."""
    plan, counted = bench.states.ready.plan, []
    for message in taken:
        consents = bench.states.consents_of(message.key or b"")
        if is_counted(consents):
            event = read_event(message, plan, type_of=bench.type_of, topic_key=bench.keys.topic)
            if isinstance(event, Event):
                counted.append((event, consents))
    return reserve_for(counted, plan, decided.at, reservations=bench.reservations)


def _judge(
    message: Taken,
    bench: Bench,
    positions: tuple[Position, ...],
    *,
    batch: _Batch,
    trace: BatchTrace,
) -> list[Delivery] | DeadLetter | _Paused:
    plan, before = bench.states.ready.plan, len(batch.page.leaves)
    event = read_event(message, plan, type_of=bench.type_of, topic_key=bench.keys.topic)
    if isinstance(event, DeadLetter):
        return event
    judged = release_event(
        event,
        plan,
        consents=bench.states.consents_of(message.key or b""),
        positions=Positions(consent=offset_of(positions, STATE_CONSENT, message.at.partition)),
        keys=bench.keys,
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
