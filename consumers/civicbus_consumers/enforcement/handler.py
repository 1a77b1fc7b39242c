"""The release step: decide, record, release. Read this one first.

The steps are numbered as in the design ("The way of an event"). What happens when the process dies
after a step is written beside it; `tests/invariants` kills it there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from civicbus_schemas.page import Page, PageRef, Position

from civicbus_consumers.enforcement.clock import (
    Abandoned,
)
from civicbus_consumers.enforcement.deciding import Batch, Bench, decide_batch
from civicbus_consumers.enforcement.endings import hold_back
from civicbus_consumers.enforcement.note import FRESH, Coordinates, Note
from civicbus_consumers.enforcement.outgoing import frame_delivery, letter_message
from civicbus_consumers.enforcement.rules import (
    Taken,
)
from civicbus_consumers.enforcement.tracing import BatchTrace


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
    batch, rest = decide_batch(taken, bench, positions, condemned=condemned, trace=trace)
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
    batch: Batch,
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
    batch: Batch,
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
