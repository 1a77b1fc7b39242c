"""The demo's checks: each says one thing that must hold of the books. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from civicbus_audit import fences
from civicbus_consumers.consent.fence import Passed
from civicbus_schemas.agreement import local_day
from civicbus_schemas.codec import unframe
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.record import Record
from civicbus_schemas.topics import SourceTopic
from civicbus_schemas.vocabulary import ConsentRule, Outcome, RecordKind

from civicbus_deploy.demo.books import Books, Line
from civicbus_deploy.demo.oracle import Oracle

Writer = Callable[[int], str]
"""The schema of a registry id, as JSON."""

Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """From where on a withdrawal bound: its consent, its fence, and when that was passed."""

    consent: str
    fence: Passed
    fence_passed_ms: int


def find_lost_and_doubled(
    books: Books, sources: Iterable[Line], *, policy: PolicySet, oracle: Oracle, writer: Writer
) -> tuple[int, int]:
    """Deliveries that should be there and are not, and those that are there too often.

    What should be there without a consent the oracle says; what rests on a consent must be there
    once for every released record.
    """
    counts = books.delivered_counts()
    expected = _permitted_places(books)
    for line in sources:
        place = line.topic, line.partition, line.offset
        day = local_day(books.decided_at.get(place) or datetime.now(UTC))
        expected |= set(_due(line, policy, oracle=oracle, writer=writer, on=day))
    lost = sum(1 for place in expected if place not in counts)
    return lost, sum(n - 1 for n in counts.values())


def _due(
    line: Line, policy: PolicySet, *, oracle: Oracle, writer: Writer, on: date
) -> Iterable[tuple[str, int, int, str]]:
    provider, event_type = SourceTopic.parse(line.topic).agency, line.headers["ce_type"]
    schema_id, body = unframe(line.value)
    for agreement in policy.agreements:
        if (
            agreement.provider == provider
            and event_type in agreement.releases
            and agreement.consent is ConsentRule.NOT_REQUIRED
            and oracle.may_be_released(
                agreement=str(agreement.ref),
                event_type=event_type,
                source_body=body,
                writer_schema=writer(schema_id),
                on=on,
            )
        ):
            yield line.topic, line.partition, line.offset, str(agreement.ref)


def _permitted_places(books: Books) -> set[tuple[str, int, int, str]]:
    released = books.released_pages
    return {
        (record.event.topic, record.event.partition, record.event.offset, str(record.agreement))
        for record in books.records.values()
        if record.decision is Outcome.PERMIT
        and record.event is not None
        and books.page_of[record.id] in released
    }


def count_unlike_oracle(
    books: Books, sources: Mapping[Place, Line], *, oracle: Oracle, writer: Writer
) -> int:
    """Delivered bodies that are not the bytes which the independent oracle makes."""
    unlike = 0
    for line in books.delivered:
        record = books.records[line.record]
        event = record.event
        if event is None:
            unlike += 1
            continue
        schema_id, body = unframe(sources[event.topic, event.partition, event.offset].value)
        expected = oracle.expected(
            agreement=line.headers["ce_agreement"],
            event_type=line.headers["ce_type"],
            source_body=body,
            writer_schema=writer(schema_id),
            on=local_day(record.at),
        )
        unlike += unframe(line.value)[1] != expected
    return unlike


def count_after_fence(books: Books, withdrawals: Iterable[Withdrawal]) -> int:
    """Permits on a withdrawn consent that were decided after its fence was passed."""
    fences = {w.consent: w.fence_passed_ms for w in withdrawals}
    return sum(_is_after(record, fences) for record in books.records.values())


def _is_after(record: Record, fences: Mapping[str, int]) -> bool:
    released = record.kind is RecordKind.ACCESS_DECISION and record.decision is Outcome.PERMIT
    if record.consent is None or not released:
        return False
    passed_ms = fences.get(record.consent.rpartition("@")[0])
    return passed_ms is not None and record.at.timestamp() * 1000 > passed_ms


def count_breaches(leaves: Iterable[tuple[int, bytes]], withdrawals: Iterable[Withdrawal]) -> int:
    """Leaves of the ledger that rest on an older state than a fence allows, by no clock."""
    known = [
        fences.Withdrawal(consent=w.consent, partition=w.fence.partition, position=w.fence.position)
        for w in withdrawals
    ]
    return len(fences.examine(leaves, known).breaches)


def count_unsealed(books: Books, sealed: set[bytes]) -> int:
    """Records on pages that are no leaf of the ledger, byte for byte."""
    return sum(leaf not in sealed for leaf in books.leaves.values())
