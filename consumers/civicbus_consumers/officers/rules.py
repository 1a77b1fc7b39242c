"""Who may ask the ledger what. Pure.

A question is judged before anything is read: it is granted, perhaps narrowed to what its asker may
see, or denied with a reason. Nobody is shown what was recorded of their own questions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, assert_never

from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.vocabulary import Outcome, Reason

from civicbus_consumers.flags.words import Flag

DEFAULT_RANGE = timedelta(days=366)
"""How far back an official's question goes that names no time; the answer says it."""


class Role(StrEnum):
    """In which role somebody asks."""

    OFFICER = "officer"
    SUPERVISOR = "supervisor"
    AUDITOR = "agency-auditor"
    CITIZEN = "citizen"


class QueryPurpose(StrEnum):
    """Why somebody asks: a closed list, so that it can be counted and compared."""

    COMPLAINT = "oversight.complaint"
    INSPECTION = "oversight.inspection"
    INCIDENT = "oversight.incident"
    COURT_ORDER = "oversight.court-order"
    SUPERVISION = "oversight.supervision"
    OWN_AGENCY = "oversight.own-agency"
    OWN_DATA = "subject.own-data"


_PURPOSES = {
    Role.OFFICER: (
        QueryPurpose.COMPLAINT,
        QueryPurpose.INSPECTION,
        QueryPurpose.INCIDENT,
        QueryPurpose.COURT_ORDER,
    ),
    Role.SUPERVISOR: (QueryPurpose.SUPERVISION,),
    Role.AUDITOR: (QueryPurpose.OWN_AGENCY,),
    Role.CITIZEN: (QueryPurpose.OWN_DATA,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Official:
    """An officer, a supervisor or an agency's auditor, by the name that the agency knows."""

    agency: AgencyId
    name: str
    role: Role

    def __repr__(self) -> str:
        return f"Official({self.agency}, {self.role})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Citizen:
    """A citizen, and the agency that vouches for who he is."""

    agency: AgencyId
    pin: Pin

    @property
    def role(self) -> Role:
        """Always a citizen's."""
        return Role.CITIZEN

    def __repr__(self) -> str:
        return f"Citizen({self.agency})"


Asker = Official | Citizen


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """What is looked for; None asks for nothing. `officer` and `case` are `agency`'s own names.

    `flag` asks for what a flag of that word was raised about, whatever became of the flag.
    """

    pin: Pin | None = None
    agency: AgencyId | None = None
    officer: str | None = None
    case: str | None = None
    record: str | None = None
    purpose: str | None = None
    basis: str | None = None
    dataset: str | None = None
    decision: Outcome | None = None
    flag: Flag | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def names_somebody(self) -> bool:
        """Whether it is about one person: a citizen, or an official."""
        return self.pin is not None or self.officer is not None

    def document(self) -> dict[str, str]:
        """Its members as texts, which `request.parse_find` reads again."""
        members = {name: getattr(self, name) for name in Find.__slots__}
        return {name: _text(value) for name, value in members.items() if value is not None}

    def __repr__(self) -> str:
        return "Find(…)"


def _text(value: Any) -> str:
    match value:
        case Pin():
            return value.number
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRef:
    """A saved query by its opaque id (32 hex characters) and its version, from 1 on."""

    id: str
    version: int

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who approved a question that takes two officials, and why it was asked."""

    by: Official
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, why, and in which case of the asker's own agency; `saved` if it was saved,
    `approval` where a second official gave his.
    """

    find: Find
    purpose: QueryPurpose
    case: str | None = None
    saved: SavedRef | None = None
    approval: Approval | None = None


class View(StrEnum):
    """Which leaves an asker is shown."""

    RECORDS = "records"  # all but what was asked of the ledger
    TRAIL = "trail"  # the officers' trail, without the asker's own
    OWN_DATA = "own-data"  # disclosures of his data, hidden ones counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A question that may be answered, narrowed to what its asker may see."""

    find: Find
    view: View


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """A question that may not be answered."""

    reason: Reason


Verdict = Granted | Denied


def judge(asker: Asker, question: Question, *, now: datetime) -> Verdict:
    """Whether this asker may ask this.

    1. The purpose is one of the role's. 2. Whoever names somebody else names a case. 3. The role
    narrows the question, or it is denied.
    """
    if question.purpose not in _PURPOSES[asker.role]:  # 1
        return Denied(reason=Reason.PURPOSE_MISMATCH)
    match asker:
        case Citizen():
            return _as_citizen(asker, question.find)
        case Official():
            if question.find.names_somebody and question.case is None:  # 2
                return Denied(reason=Reason.CASE_MISSING)
            return _as_official(asker, _bounded(question.find, now))  # 3
        case _:
            assert_never(asker)


def judge_export(asker: Asker, question: Question, *, now: datetime) -> Verdict:
    """Whether this asker may have a bundle of this: an official, as a question, and in a case."""
    if isinstance(asker, Citizen):
        return Denied(reason=Reason.NOT_YOUR_ROLE)
    verdict = judge(asker, question, now=now)
    if isinstance(verdict, Granted) and question.case is None:
        return Denied(reason=Reason.CASE_MISSING)
    return verdict


def _as_official(asker: Official, find: Find) -> Verdict:
    match asker.role:
        case Role.OFFICER:
            return Granted(find=find, view=View.RECORDS)
        case Role.AUDITOR if find.agency in (None, asker.agency):
            return Granted(find=replace(find, agency=asker.agency), view=View.RECORDS)
        case Role.AUDITOR:
            return Denied(reason=Reason.NOT_YOURS)
        case Role.SUPERVISOR:
            return Granted(find=find, view=View.TRAIL)
        case _:
            return Denied(reason=Reason.NOT_YOUR_ROLE)


def _as_citizen(asker: Citizen, find: Find) -> Verdict:
    if find.pin not in (None, asker.pin):
        return Denied(reason=Reason.NOT_ABOUT_YOU)
    if find.officer is not None or find.case is not None or find.flag is not None:
        return Denied(reason=Reason.NOT_YOUR_ROLE)
    return Granted(find=replace(find, pin=asker.pin), view=View.OWN_DATA)


def _bounded(find: Find, now: datetime) -> Find:
    """With both ends of its range: the year up to its end, or up to now."""
    until = find.until or (find.since + DEFAULT_RANGE if find.since else now)
    return replace(find, since=find.since or until - DEFAULT_RANGE, until=until)
