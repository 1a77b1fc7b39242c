"""What must happen in time: pages are released, emergencies reviewed. Pure.

Time is the broker's, as pages come; where none come the worker lets it pass (`tick`).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from civicbus_schemas.ids import RecorderId
from civicbus_schemas.page import PageHeader
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import DECISION_KINDS

from civicbus_consumers.flags.findings import Finding, Folded, PageTold
from civicbus_consumers.flags.memory import Memory
from civicbus_consumers.flags.reference import Reference
from civicbus_consumers.flags.signals import WEIGHTS
from civicbus_consumers.flags.usual import time_of
from civicbus_consumers.flags.words import Closing, Flag, flag_id

RELEASE_WITHIN, REVIEW_WITHIN = timedelta(seconds=60), timedelta(hours=24)
AWAITED_FOR = timedelta(days=90)
"""So long what is late may still come and close its flag; then only a label closes it."""


def tick(at: datetime, memory: Memory, folded: Folded, *, reference: Reference) -> None:
    """Raise what has not come in time; time never goes back."""
    pending, now = memory.pending(), int(at.timestamp())
    pending.now = max(pending.now, now)
    start = pending.now - int(AWAITED_FOR.total_seconds())
    pending.late = {flag: late for flag, late in pending.late.items() if late[-1] > start}
    for chain, pages in list(pending.pages.items()):
        for sequence, (due, record, agency) in list(pages.items()):
            if due < pending.now:
                del pages[sequence]
                raised = _late(Flag.UNRELEASED, record, agency, due=due, reference=reference)
                pending.late[raised.id] = ["page", chain, int(sequence), due]
                folded.raised.append(raised)
        if not pages:
            del pending.pages[chain]
    for record, (due, agency, officer, subject) in list(pending.emergencies.items()):
        if due < pending.now:
            del pending.emergencies[record]
            late = _late(Flag.UNREVIEWED_EMERGENCY, record, agency, due=due, reference=reference)
            pending.late[late.id] = ["review", record, 0, due]
            folded.raised.append(replace(late, officer=officer, subject=subject))


def _late(flag: Flag, record: str, agency: str, *, due: int, reference: Reference) -> Finding:
    within = RELEASE_WITHIN if flag is Flag.UNRELEASED else REVIEW_WITHIN
    return Finding(
        flag=flag,
        record=record,
        at=time_of(due) - within,
        raised_at=time_of(due),
        agency=agency,
        officer=None,
        subject=None,
        score=WEIGHTS[flag].points,
        reference=reference.version,
    )


def chain_of(header: PageHeader, recorder: RecorderId) -> str:
    """The chain that a header speaks of: a recorder's, under the header's own process.

    Who signs under one name says nothing of another's chain; sealing sets such a page aside.
    """
    return f"{header.process}/{recorder}"


def settle(header: PageHeader, memory: Memory, folded: Folded, *, at: datetime) -> None:
    """What `released` names and all before it is released; `closes` ends its whole recorder."""
    pending = memory.pending()
    settled: list[tuple[str, float]] = []
    if header.released is not None:
        settled.append((chain_of(header, header.released.recorder), header.released.sequence))
    if header.closes is not None:
        settled.append((chain_of(header, header.closes.recorder), float("inf")))
    for chain, upto in settled:
        pages = pending.pages.get(chain, {})
        for sequence in [s for s in pages if int(s) <= upto]:
            del pages[sequence]
        for flag, (what, who, sequence, _) in list(pending.late.items()):
            if (what, who) == ("page", chain) and sequence <= upto:
                del pending.late[flag]
                folded.closed.append((flag, Closing.SETTLED, at))


def expect_release(page: PageTold, memory: Memory) -> None:
    """Remember that what this page discloses is to be released within the minute."""
    disclosing = [r for r in page.records if r.kind in DECISION_KINDS and r.decision.discloses]
    if disclosing:
        due = int((page.at + RELEASE_WITHIN).timestamp())
        first = disclosing[0]
        chain = chain_of(page.header, page.header.recorder)
        pages = memory.pending().pages.setdefault(chain, {})
        pages[str(page.header.sequence)] = [due, str(first.id), first.actor.agency]


def settle_review(record: Record, memory: Memory, folded: Folded, *, at: datetime) -> None:
    """A review, in time or late, settles its emergency."""
    pending = memory.pending()
    about = None if record.req is None else record.req.id
    pending.emergencies.pop(about or "", None)
    flag = flag_id(Flag.UNREVIEWED_EMERGENCY, about or "")
    if pending.late.pop(flag, None) is not None:
        folded.closed.append((flag, Closing.SETTLED, at))
