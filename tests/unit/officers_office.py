"""The officers' process on fakes, asked through HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from civicbus_audit.index.searching import Entry
from civicbus_consumers.lookup.door import compose
from civicbus_consumers.officers.casework.desk import CaseDesk
from civicbus_consumers.officers.casework.service import CaseService
from civicbus_consumers.officers.counter import Counter
from civicbus_consumers.officers.desk import Desk
from civicbus_consumers.officers.journal import Journal
from civicbus_consumers.officers.pages import PageService
from civicbus_consumers.officers.rules import Role
from civicbus_consumers.officers.saved.desk import SavedDesk
from civicbus_consumers.officers.saved.service import SavedService
from civicbus_consumers.officers.service import QueryService
from civicbus_consumers.officers.signet import Signet
from civicbus_consumers.officers.token import Issuer, make_pass
from civicbus_consumers.officers.tracker import TrackerService
from civicbus_consumers.officers.unread import UnreadService
from civicbus_consumers.officers.words import WordBook
from civicbus_consumers.recording.recorder import Recorder
from civicbus_consumers.runtime.jwt import PublicKey
from civicbus_schemas import subject as subjects
from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.page import HeaderLeaf, PageHeader, PageRef
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import Outcome, RecordKind

from tests.fakes.cases import FakeCases
from tests.fakes.lookup import FakePages
from tests.fakes.officers import FakeShelf, entry
from tests.fakes.saved import FakeSaved
from tests.fakes.unread import FakeUnread
from tests.fakes.vault import FakeVault, secret_of
from tests.unit.lookup_samples import LAN, MOTHER, SIGNER, recorder

MPS, BANK, VNEID = AgencyId("mps"), AgencyId("bank"), AgencyId("vneid")
INSPECTOR, CASE = "tt-0042 Lê Văn Hùng", "TT-2026/0007"
COMPLAINT = {"purpose": "oversight.complaint", "case": CASE}
QUERIES = "/v1/audit/queries"
PUBLIC = PublicKey(SIGNER.public_key().public_bytes_raw())
ISSUERS = {
    MPS: Issuer(public_key=PUBLIC, roles=frozenset({Role.OFFICER, Role.SUPERVISOR, Role.AUDITOR})),
    BANK: Issuer(public_key=PUBLIC, roles=frozenset({Role.AUDITOR})),
    VNEID: Issuer(public_key=PUBLIC, roles=frozenset({Role.CITIZEN})),
}
_ISSUER_OF = {
    Role.OFFICER: MPS,
    Role.SUPERVISOR: MPS,
    Role.AUDITOR: BANK,
    Role.CITIZEN: VNEID,
}


def subject(pin: Pin = LAN) -> str:
    """A person's name in records."""
    return secret_of(subjects.person(pin)).pseudonym


def official(name: str = INSPECTOR, agency: AgencyId = MPS) -> str:
    """An official's name in records."""
    return secret_of(subjects.officer(agency, name)).pseudonym


def case(number: str, agency: AgencyId = MPS) -> str:
    """A case's name in records."""
    return secret_of(subjects.case(agency, number)).pseudonym


def deferred(index: int, case_id: str) -> Entry:
    """A reading about the woman, in an investigation."""
    kind = RecordKind.ACCESS_DEFERRED
    return entry(index, kind=kind, recipient="mps", subject=subject(), case_id=case_id)


def history() -> FakeShelf:
    """Readings about a woman and her mother, an investigation, and what officials asked."""
    asked = {"kind": RecordKind.OFFICER_QUERY, "recipient": "mps"}
    return FakeShelf(
        [
            entry(1, recipient="bank", subject=subject(), purpose="credit.verify-customer"),
            entry(2, recipient="vss", subject=subject(MOTHER)),
            deferred(3, case("open")),
            deferred(4, case("closed")),
            entry(5, kind=RecordKind.CASE_CLOSED, case_id=case("closed"), actor="mps"),
            entry(6, recipient="bank", subject=subject(), decision=Outcome.DENY),
            entry(7, officer=official(), subject=subject(), **asked),
            entry(8, officer=official("tt-0043"), **asked),
            entry(9, kind=RecordKind.CITIZEN_QUERY, recipient="bank", subject=subject()),
        ]
    )


def token(role: Role = Role.OFFICER, *, sub: str | None = None) -> str:
    """A fresh token."""
    name = sub or (LAN.number if role is Role.CITIZEN else INSPECTOR)
    return make_pass(_ISSUER_OF[role], SIGNER, sub=name, role=role, now=time.time())


def bearer(role: Role = Role.OFFICER, *, sub: str | None = None) -> dict[str, str]:
    """The header of a fresh token."""
    return {"Authorization": f"Bearer {token(role, sub=sub)}"}


@dataclass
class Office:
    """A desk on fakes behind the real routes."""

    shelf: FakeShelf = field(default_factory=FakeShelf)
    pages: FakePages = field(default_factory=FakePages)
    policy_sets: Path = Path("no-policy-sets")
    unread: FakeUnread = field(default_factory=FakeUnread)
    cases: FakeCases = field(default_factory=FakeCases)
    saved: FakeSaved = field(default_factory=FakeSaved)
    begun: int = 0
    vault: FakeVault = field(default_factory=FakeVault)

    def __post_init__(self) -> None:
        self.journal = Journal(begin_recorder=self._begin_recorder, vault=self.vault)
        self.desk = Desk(shelf=self.shelf, journal=self.journal)
        self.counter = Counter(desk=self.desk, issuers=ISSUERS, signet=Signet(b"c" * 32))
        queries = QueryService(counter=self.counter, body_timeout_s=0.3)
        words = WordBook(self.policy_sets)
        pages = PageService(counter=self.counter, words=words, body_timeout_s=0.3)
        tracker = TrackerService(counter=self.counter, words=words)
        unread = UnreadService(counter=self.counter, unread=self.unread, body_timeout_s=0.3)
        cases = CaseService(
            counter=self.counter,
            desk=CaseDesk(journal=self.journal, shelf=self.shelf, store=self.cases),
            body_timeout_s=0.3,
        )
        saved = SavedService(
            counter=self.counter,
            desk=SavedDesk(journal=self.journal, store=self.saved),
            body_timeout_s=0.3,
        )
        rooms = (queries, pages, tracker, unread, cases, saved)
        self.app = compose(*(route for room in rooms for route in room.routes()))

    def _begin_recorder(self, closes: PageRef | None) -> Recorder:
        self.begun += 1
        return recorder(self.pages, closes)

    def serve(self, steps: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]) -> Any:
        """What these steps of a client come to."""

        async def client() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://bus") as made:
                return await steps(made)

        return asyncio.run(client())

    def ask(
        self, document: Any = None, *, role: Role = Role.OFFICER, sub: str | None = None
    ) -> Any:
        """One question with a fresh token."""
        body = COMPLAINT if document is None else document
        headers = bearer(role, sub=sub)
        return self.serve(lambda client: client.post(QUERIES, json=body, headers=headers))

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Any:
        """One form that is posted."""
        return self.serve(lambda client: client.post(path, data=fields, headers=headers))

    def get(self, path: str, **headers: str) -> Any:
        """One GET."""
        return self.serve(lambda client: client.get(path, headers=headers))

    @property
    def records(self) -> list[Record]:
        """The durable records."""
        return [Record.decode(leaf) for page in self.pages.pages for leaf in page.records]

    @property
    def headers(self) -> list[PageHeader]:
        """The headers of the durable pages."""
        return [HeaderLeaf.decode(page.header).header for page in self.pages.pages]


PERSONAL = (LAN.number, MOTHER.number, INSPECTOR, CASE)
"""Nothing of it may be told sideways (I6)."""
