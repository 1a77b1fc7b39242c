"""The desk of the weekly report: judged, recorded, and only then read.

    1. judge   2. record, and wait for the acknowledgement   3. read the trail of five weeks, each
    row compared with its leaf   4. count

Reading may take seconds, and others need not wait meanwhile: as for a proof of completeness, what
may have been read counts as read once it is on record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from civicbus_audit.index.oversight import find_all
from civicbus_audit.index.searching import Entry
from civicbus_audit.query import Query
from civicbus_schemas.errors import BusError
from civicbus_schemas.vocabulary import TRAIL_KINDS, Outcome, RecordKind

from civicbus_consumers.officers.desk import Desk, unread
from civicbus_consumers.officers.journal import Receipt
from civicbus_consumers.officers.problems import OfficersCode, OfficersProblem
from civicbus_consumers.officers.reading import Extent
from civicbus_consumers.officers.records import TWO_OFFICIALS
from civicbus_consumers.officers.rules import Find, QueryPurpose, Question
from civicbus_consumers.officers.token import Pass
from civicbus_consumers.officers.weekly.rules import (
    WEEKS_BEFORE,
    Act,
    Report,
    judge_report,
    report_of,
)
from civicbus_consumers.officers.weekly.weeks import Week

MAX_ACTS = 50_000
"""Of how many acts, in the five weeks, a report is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A report, the record of its reading, and up to where was looked at."""

    receipt: Receipt
    find: Find
    extent: Extent
    report: Report


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDesk:
    """Makes reports; which of them may run at a time is its caller's to say."""

    desk: Desk

    def report(self, holder: Pass, week: Week) -> Told:
        """The report, which is on record before it is read; raises `OfficersProblem`."""
        find = Find(since=week.earlier(WEEKS_BEFORE).starts, until=week.ends)
        question = Question(find=find, purpose=QueryPurpose.SUPERVISION)
        verdict = judge_report(holder.asker, question, now=datetime.now(UTC))  # 1
        _, trail, receipt = self.desk.note(  # 2
            holder, question, verdict, kind=RecordKind.OFFICER_REPORT
        )
        extent, entries = self._read(trail, receipt)  # 3
        acts = (act for entry in entries if (act := act_of(entry)) is not None)
        report = report_of(acts, week, own=trail.except_officer)  # 4
        return Told(receipt=receipt, find=find, extent=extent, report=report)

    def _read(self, trail: Query, receipt: Receipt) -> tuple[Extent, list[Entry]]:
        """The whole trail, the reader's own acts too: what is left out is counted."""
        shelf = self.desk.shelf
        # kind by kind, as the index has them: readings, of which there are millions, are no acts
        queries = [
            replace(trail, kind=kind, except_kinds=(), except_officer=None) for kind in TRAIL_KINDS
        ]
        entries: list[Entry] = []
        try:
            extent = shelf.extent()
            count = sum(shelf.count(query) for query in queries)
            for query in queries if count <= MAX_ACTS else ():
                entries += find_all(query, shelf.find)
        except BusError as error:
            raise unread(error, receipt) from error
        if count > MAX_ACTS:
            raise OfficersProblem(
                OfficersCode.REPORT_TOO_LARGE,
                receipt=receipt.document(),
                got=f"{count} acts in five weeks",
                expected=f"at most {MAX_ACTS}",
            )
        return extent, entries


def act_of(entry: Entry) -> Act | None:
    """The act that a leaf tells of; None for a leaf without a time, which is no act."""
    if entry.at is None:
        return None
    return Act(
        at=entry.at,
        agency=entry.actor or "",
        officer=entry.officer,
        kind=entry.kind,
        refused=entry.decision == Outcome.DENY,
        about=entry.subject,
        purpose=entry.purpose,
        case=entry.case_id,
        by_two=entry.rule == TWO_OFFICIALS,
    )
