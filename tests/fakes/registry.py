"""The consent registry's store in memory; commits at the end of the body, like the real one."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from civicbus_consumers.consent.registry.acts import Held, Standing
from civicbus_consumers.consent.registry.rows import Done, Pending, Place, Proof, Revision
from civicbus_consumers.consent.registry.store import RegistryStore
from civicbus_consumers.consent.registry.terms import DataAgreement
from civicbus_schemas.errors import Retryable, Unavailable
from civicbus_schemas.ids import EventId, PolicyVersion
from civicbus_schemas.page import PageRef


@dataclass
class _Change:
    number: int
    held: Held
    proof: Proof
    event_id: EventId | None
    sealed: bytes | None
    place: Place | None = None


@dataclass
class _Tables:
    consents: dict[str, tuple[Held, bytes | None]] = field(default_factory=dict)
    changes: list[_Change] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    pages: dict[str, PageRef] = field(default_factory=dict)


class _Entry:
    def __init__(self, tables: _Tables, subject: str) -> None:
        self._tables, self._subject = tables, subject

    def find(self, id_: str) -> Held | None:
        return self._tables.consents.get(id_, (None, None))[0]

    def is_ended(self) -> bool:
        return self._subject in self._tables.dead

    def end(self, at: datetime) -> None:
        del at
        self._tables.dead.add(self._subject)

    def save(
        self,
        held: Held,
        *,
        proof: Proof,
        event: tuple[EventId, bytes] | None,
        number: bytes | None,
    ) -> None:
        known = self.find(held.id)
        if known is not None and known.subject != held.subject:
            raise Retryable("another person's consent has this id")
        self._tables.consents[held.id] = held, number
        id_, sealed = event or (None, None)
        number_ = len(self._tables.changes) + 1
        self._tables.changes.append(_Change(number_, held, proof, id_, sealed))

    def remember_released(self, process: str, page: PageRef) -> None:
        self._tables.pages[process] = page


class FakeRegistryStore(RegistryStore):
    """`fails`: no call succeeds; `fails_to_commit`: an entry is made and not kept."""

    def __init__(self) -> None:
        self.tables, self.agreements = _Tables(), list[Revision]()
        self.fails = self.fails_to_commit = False

    def _check(self) -> None:
        if self.fails:
            raise Unavailable("the database does not answer")

    @contextmanager
    def entry(self, subject: str) -> Iterator[Any]:
        self._check()
        draft = copy.deepcopy(self.tables)
        yield _Entry(draft, subject)
        if self.fails_to_commit:
            raise Unavailable("the database is gone")
        self.tables = draft

    def find(self, id_: str) -> Held | None:
        self._check()
        return self.tables.consents.get(id_, (None, None))[0]

    def of_subject(self, subject: str) -> list[Held]:
        self._check()
        mine = [held for held, _ in self.tables.consents.values() if held.subject == subject]
        return sorted(mine, key=lambda held: (-held.since.timestamp(), held.id))

    def signed_for_others(self, signer: str) -> list[tuple[Held, bytes]]:
        self._check()
        rows = self.tables.consents.values()
        return [(held, number) for held, number in rows if number and held.signer == signer]

    def forget_numbers(self, at: datetime) -> None:
        self._check()
        for id_, (held, number) in self.tables.consents.items():
            over = held.standing_at(at) is Standing.EXPIRED
            self.tables.consents[id_] = held, None if over else number

    def forget_days(self, at: datetime) -> None:
        """Places are counted elsewhere (`fakes.uses`)."""
        del at
        self._check()

    def done(self, id_: str) -> list[Done]:
        self._check()
        return [
            Done(
                act=change.held.act,
                version=change.held.version,
                standing=change.held.standing,
                at=change.held.since,
                proof=change.proof,
                pending=change.sealed is not None,
                place=change.place,
            )
            for change in self.tables.changes
            if change.held.id == id_
        ]

    @contextmanager
    def publishing(self) -> Iterator[Any]:
        self._check()
        draft = copy.deepcopy(self.tables)
        yield (
            [
                Pending(number=c.number, event_id=c.event_id, held=c.held, sealed=c.sealed)
                for c in draft.changes
                if c.sealed is not None and c.event_id is not None
            ],
            draft,
        )
        self.tables = draft

    @staticmethod
    def mark_published(connection: Any, number: int, place: Place) -> None:
        change = connection.changes[number - 1]
        connection.changes[number - 1] = replace(change, sealed=None, place=place)

    def note_agreements(
        self, agreements: Sequence[DataAgreement], *, policy: PolicyVersion, at: datetime
    ) -> None:
        self._check()
        for agreement in agreements:
            known = [r for r in self.agreements if r.id == agreement.id]
            if agreement.hash not in {r.hash for r in known}:
                self.agreements.append(
                    Revision(
                        id=agreement.id,
                        revision=len(known) + 1,
                        hash=agreement.hash,
                        document=agreement.document,
                        policy=policy,
                        since=at,
                    )
                )

    def revisions(self, id_: str | None = None) -> list[Revision]:
        self._check()
        found = [r for r in self.agreements if id_ in {None, r.id}]
        return sorted(found, key=lambda r: (r.id, r.revision))

    def find_released(self, process: str) -> PageRef | None:
        self._check()
        return self.tables.pages.get(process)
