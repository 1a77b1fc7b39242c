"""Readings, pages and references for tests of flags."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from civicbus_consumers.flags.findings import Folded, PageTold
from civicbus_consumers.flags.memory import Memory
from civicbus_consumers.flags.reference import Reference, read_reference
from civicbus_consumers.flags.rules import fold
from civicbus_schemas.agreement import NATION_ZONE
from civicbus_schemas.ids import AgencyId, EventType, RecorderId, RecordId
from civicbus_schemas.page import PageHeader, PageRef
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.record import Actor, Positions, Record, Request
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind

MONDAY = datetime(2026, 8, 3, 10, tzinfo=NATION_ZONE)
CLERK, OTHER = "c1" * 16, "c2" * 16
PURPOSE = "investigation.criminal"
SERVICES = {"mps": {PURPOSE: {"datasets": ["population.Person"], "needs_case": True}}}
OFFICE_HOURS = {"mps": {"opens": 7, "closes": 18, "days": [0, 1, 2, 3, 4], "holidays": []}}


def hexed(number: int) -> str:
    """16 bytes as hex."""
    return f"{number:032x}"


def person(number: int) -> str:
    """A subject's pseudonym, whose halves differ from any other's."""
    return f"{number:016x}" * 2


def reading(
    number: int,
    *,
    subject: str | None = None,
    officer: str | None = CLERK,
    agency: str = "mps",
    purpose: str = PURPOSE,
    case: str | None = "ca" * 16,
    consent: str | None = None,
    position: int | None = None,
    outcome: Outcome = Outcome.PERMIT,
    reason: Reason | None = None,
) -> Record:
    """One decision; its number makes its id, and its subject where none is named."""
    return Record(
        id=RecordId(hexed(number)),
        nonce=bytes(16),
        kind=RecordKind.ACCESS_DECISION,
        at=MONDAY,
        actor=Actor(agency=AgencyId(agency), system="lookup", officer=officer),
        recipient=AgencyId(agency),
        subject=LedgerPseudonym(subject or person(number)),
        dataset=EventType("population.Person"),
        purpose=purpose,
        consent=consent,
        positions=Positions(consent=position),
        decision=outcome,
        reason=reason,
        req=Request(case=case),
    )


def act(
    kind: RecordKind,
    *,
    about: str | None = None,
    subject: str | None = None,
    case: str | None = None,
    rule: str | None = None,
    agency: str = "mps",
    outcome: Outcome = Outcome.PERMIT,
    reason: Reason | None = None,
    consent: str | None = None,
    position: int | None = None,
    number: int = 10**6,
) -> Record:
    """A record that is no look-up: a review, a label, the end of a case."""
    return Record(
        id=RecordId(hexed(number)),
        nonce=bytes(16),
        kind=kind,
        at=MONDAY,
        actor=Actor(agency=AgencyId(agency), system="oversight", officer=OTHER),
        recipient=AgencyId(agency),
        subject=None if subject is None else LedgerPseudonym(subject),
        consent=consent,
        positions=Positions(consent=position),
        decision=outcome,
        reason=reason,
        rule=rule,
        req=Request(id=about, case=case),
    )


class Topic:
    """Pages as one recorder writes them, each released by the next."""

    def __init__(self) -> None:
        self.pages: list[PageTold] = []

    def write(
        self,
        *records: Record,
        at: datetime = MONDAY,
        recorder: str = "a" * 32,
        released: bool = True,
    ) -> None:
        """The next page."""
        sequence = sum(page.header.recorder == recorder for page in self.pages)
        ref = PageRef(recorder=RecorderId(recorder), sequence=sequence - 1, hash="")
        header = PageHeader(
            process="lookup",
            recorder=RecorderId(recorder),
            sequence=sequence,
            previous=None,
            closes=None,
            released=ref if released and sequence else None,
            policy=None,
            at=at,
            positions=(),
            records=len(records),
            root="",
        )
        self.pages.append(PageTold(at=at, header=header, records=records))

    def write_each(
        self, records: Iterable[Record], *, start: datetime = MONDAY, apart: timedelta
    ) -> datetime:
        """A page for each record; when the last was written."""
        at = start
        for record in records:
            self.write(record, at=at)
            self.write(at=at)  # says that it was released
            at += apart
        return at

    def fold(self, reference: Reference | None = None, memory: Memory | None = None) -> Folded:
        """What the pages come to."""
        return fold(self.pages, memory or Memory(), reference or known())


def known(**members: Any) -> Reference:
    """A reference with these members."""
    return read_reference(json.dumps(members).encode())


def words(folded: Folded) -> list[str]:
    """The words of the raised flags."""
    return [finding.flag.value for finding in folded.raised]
