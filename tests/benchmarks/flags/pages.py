"""The synthetic set as pages: what a worker reads, in the order of the page topic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from civicbus_consumers.flags.findings import PageTold
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.page import PageHeader, PageRef
from civicbus_schemas.record import Record

from tests.benchmarks.flags.abuse import commit_abuse
from tests.benchmarks.flags.offices import build_offices
from tests.benchmarks.flags.work import Diary, honest_work

RECORDER = RecorderId("a" * 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """A set: its pages, the reference for it, and the truth, which the rules do not get."""

    pages: list[PageTold]
    reference: dict[str, object]
    seeds: dict[str, tuple[str, int]]


def build_set(seed: int, *, officers: int = 240, weeks: int = 10, episodes: int = 5) -> Set:
    """The set of a seed: always the same."""
    diary = Diary(build_offices(seed, officers=officers, weeks=weeks))
    honest_work(diary)
    commit_abuse(diary, episodes=episodes)
    kept = sorted(diary.records, key=lambda record: (record.at, record.id))
    pages = list(_pages(kept, diary.unreleased))
    return Set(pages=pages, reference=diary.offices.reference(), seeds=diary.seeds)


def _pages(records: list[Record], unreleased: set[str]) -> Iterator[PageTold]:
    """A page each, released by the next; one that is never released has a recorder of its own."""
    sequence, before = 0, records[0].at
    for record in records:
        if sequence and record.at - before > timedelta(seconds=30):
            before += timedelta(seconds=10)
            yield _page(None, RECORDER, sequence=sequence, at=before)
            sequence += 1
        if str(record.id) in unreleased:
            yield _page(record, RecorderId(str(record.id)), sequence=0, at=record.at)
        else:
            yield _page(record, RECORDER, sequence=sequence, at=record.at)
            sequence += 1
        before = record.at


def _page(record: Record | None, recorder: RecorderId, *, sequence: int, at: datetime) -> PageTold:
    released = PageRef(recorder=recorder, sequence=sequence - 1, hash="") if sequence else None
    header = PageHeader(
        process="lookup", recorder=recorder, sequence=sequence, previous=None, closes=None,
        released=released, policy=None, at=at, positions=(), records=0, root="",
    )  # fmt: skip
    return PageTold(at=at, header=header, records=() if record is None else (record,))
