"""Tells recipients of withdrawals: record, then release, as with any delivery.

Died before the commit, a successor finds the endings again, for no position behind them was
committed; what it tells then has the same ids.
"""

from __future__ import annotations

from collections.abc import Iterator

from civicbus_schemas.page import Position
from civicbus_schemas.record import Positions
from civicbus_schemas.topics import STATE_CONSENT

from civicbus_consumers.enforcement.broker import Outgoing
from civicbus_consumers.enforcement.deciding import Bench
from civicbus_consumers.enforcement.endings import (
    Ending,
    addressees,
    hold_back,
    withdrawn_headers,
)
from civicbus_consumers.enforcement.handler import OnStep, Step, nothing, signed_off
from civicbus_consumers.enforcement.note import Note
from civicbus_consumers.enforcement.states import offset_of
from civicbus_consumers.recording.pages import PageBuilder
from civicbus_consumers.recording.records import record_ending

AT_ONCE = 500
"""Endings on one page; the others wait for the next."""


def tell_endings(
    bench: Bench, positions: tuple[Position, ...], *, note: Note, on_step: OnStep = nothing
) -> int:
    """Tell the oldest endings that are untold, and let the group's positions pass them.

    1. `positions` are those of the newest state: what is released from here on rests on it. 2. One
    page holds the records; wait until it is durable. 3. One transaction: the notices, and the
    positions up to the first ending that still waits. Returns how many notices were released.
    """
    endings = bench.states.untold[:AT_ONCE]
    page = bench.recorder.open_page(bench.clock.now())
    notices = [n for ending in endings for n in _record(ending, bench, page, positions=positions)]
    released = None
    if notices:  # 2
        policy = bench.states.ready.plan.policy
        written = bench.recorder.write(page, policy=policy, positions=positions)
        released = bench.recorder.chain.ref(written)
        on_step(Step.PAGE_ACKNOWLEDGED)
    bench.releases.begin()  # 3
    for notice in notices:
        bench.releases.produce(notice)
        on_step(Step.PRODUCED)
    passed = hold_back(positions, bench.states.untold[len(endings) :])
    bench.releases.send_offsets([], passed, signed_off(note, released, bench))
    on_step(Step.OFFSETS_SENT)
    bench.releases.commit()
    bench.committed = passed
    del bench.states.untold[: len(endings)]
    if released is not None:
        bench.recorder.mark_released(written)
    on_step(Step.COMMITTED)
    return len(notices)


def _record(
    ending: Ending, bench: Bench, page: PageBuilder, *, positions: tuple[Position, ...]
) -> Iterator[Outgoing]:
    """A record and a notice for each agreement and family that rested on the consent."""
    ready, consent = bench.states.ready, ending.consent
    at = Positions(consent=offset_of(positions, STATE_CONSENT, ending.partition))
    for to in addressees(consent, ready.policy):
        stamp = page.stamp()
        record = record_ending(
            consent, to.agreement, positions=at, policy=ready.plan.policy, stamp=stamp
        )
        page.add(record, stamp=stamp)
        headers = withdrawn_headers(
            ending,
            to,
            record_id=stamp.id,
            recipients_key=bench.keys.pairwise_of(consent.recipient).key,
        )
        yield Outgoing(
            topic=to.topic, partition=ending.partition, key=None, value=None, headers=headers
        )
