"""The desk of saved queries: an act is judged, recorded, and only then done.

    1. judge   2. record, and wait for the acknowledgement   3. keep, drop, or read the list
    4. the next page may say that this one was released

To run one is a question: here it is only found, or refused on record; the question that it makes
goes over the counter as any other, and its own leaf says which query of which version it was.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from civicbus_schemas.errors import BusError
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.page import Page
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.record import Request
from civicbus_schemas.subject import Secret
from civicbus_schemas.vocabulary import Reason, RecordKind

from civicbus_consumers.officers.acts import record_act, secret_of
from civicbus_consumers.officers.journal import Journal, Receipt, undone
from civicbus_consumers.officers.problems import OfficersCode
from civicbus_consumers.officers.records import officer_of, who
from civicbus_consumers.officers.rules import Find, SavedRef
from civicbus_consumers.officers.saved.acts import Act, Demand, Kept, Saved
from civicbus_consumers.officers.saved.rules import judge, sees_all
from civicbus_consumers.officers.saved.sealing import close, open_kept
from civicbus_consumers.officers.token import Pass


class KeepsSaved(Protocol):
    """Where saved queries are kept (`store.SavedStore`). Calls raise `Unavailable` or `Fatal`."""

    def find(self, id_: str) -> Kept | None:
        """The newest version of a query."""
        ...

    def count(self, owner: str) -> int:
        """How many queries an official keeps."""
        ...

    def of(self, agency: AgencyId, owner: str | None) -> Sequence[Kept]:
        """The newest queries of an agency, of one owner where one is named."""
        ...

    def keep(self, kept: Kept) -> None:
        """Keep a query in place of its version before."""
        ...

    def drop(self, id_: str) -> None:
        """Forget a query."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an act came to: its record, and the queries that it is about."""

    receipt: Receipt
    ref: SavedRef | None = None
    listed: Sequence[Saved] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedDesk:
    """Does one act after the other, each on record first."""

    journal: Journal
    store: KeepsSaved

    def get(self, holder: Pass, demand: Demand) -> Saved:
        """The query that is to be run; raises `OfficersProblem`, a refusal on record."""
        with self.journal.held():
            secret, by = self._asker(holder)
            try:
                kept = self.store.find(demand.saved or "")
                refused = judge(holder.asker, demand, by=by, kept=kept, count=0)
                opened = () if kept is None or refused else self._opened([kept])
            except BusError as error:
                raise undone(OfficersCode.SAVED_UNAVAILABLE, error, None) from error
            if opened:
                return opened[0]
            refused = refused or Reason.SAVED_NOT_FOUND  # the vault lacks its owner's key
            receipt, page = self._record(holder, demand, refused, ref=None, secret=secret)
            raise self.journal.refusal(page, refused, receipt)

    def act(self, holder: Pass, demand: Demand) -> Done:
        """Save, list or drop; raises `OfficersProblem`."""
        with self.journal.held():
            secret, by = self._asker(holder)
            try:
                kept = None if demand.saved is None else self.store.find(demand.saved)
                count = self.store.count(by or "")
            except BusError as error:
                raise undone(OfficersCode.SAVED_UNAVAILABLE, error, None) from error
            refused = judge(holder.asker, demand, by=by, kept=kept, count=count)  # 1
            ref = None if refused else _ref_after(demand, kept)
            receipt, page = self._record(holder, demand, refused, ref=ref, secret=secret)  # 2
            if refused is not None:
                raise self.journal.refusal(page, refused, receipt)
            try:
                listed = self.journal.finish(
                    page, lambda: self._do(holder, demand, ref, at=receipt.recorded_at, key=secret)
                )  # 3, 4
            except BusError as error:
                raise undone(OfficersCode.SAVED_UNAVAILABLE, error, receipt) from error
            return Done(receipt=receipt, ref=ref, listed=listed)

    def _asker(self, holder: Pass) -> tuple[Secret, str | None]:
        secrets = self.journal.names({who(holder.asker)}, asker=holder.asker)
        return secrets[who(holder.asker)], officer_of(holder.asker, secrets)

    def _record(
        self,
        holder: Pass,
        demand: Demand,
        refused: Reason | None,
        *,
        ref: SavedRef | None,
        secret: Secret,
    ) -> tuple[Receipt, Page]:
        secrets = {who(holder.asker): secret}
        return self.journal.write(
            lambda stamp: record_act(
                holder,
                demand,
                refused,
                kind=RecordKind.OFFICER_SAVED,
                upon=Request(jti=holder.jti, id=None if ref is None else str(ref)),
                secrets=secrets,
                stamp=stamp,
            ),
            secret=secret_of(holder.asker, demand),
            secrets=secrets,
            at=datetime.now(UTC),
        )

    def _do(
        self, holder: Pass, demand: Demand, ref: SavedRef | None, *, at: datetime, key: Secret
    ) -> Sequence[Saved]:
        """What there is to list."""
        agency, owner = holder.asker.agency, key.pseudonym
        match demand:
            case Demand(act=Act.SAVE, title=str(title), find=Find() as find) if ref is not None:
                sealed = close(title, find, key=key.sealing_key, ref=ref)
                self.store.keep(Kept(ref=ref, agency=agency, owner=owner, at=at, sealed=sealed))
                return ()
            case Demand(act=Act.DROP, saved=str(saved)):
                self.store.drop(saved)
                return ()
            case Demand(act=Act.LIST):
                shown = self.store.of(agency, None if sees_all(holder.asker) else owner)
                return self._opened(shown)
            case _:
                raise ValueError(f"{demand} is no whole act of this desk")

    def _opened(self, kept: Sequence[Kept]) -> Sequence[Saved]:
        """Those whose owner's key the vault still has."""
        found = self.journal.vault.named({LedgerPseudonym(one.owner) for one in kept})
        keys = {str(name): secret.sealing_key for name, secret in found.items()}
        opened = (open_kept(one, keys) for one in kept)
        return tuple(one for one in opened if one is not None)


def _ref_after(demand: Demand, kept: Kept | None) -> SavedRef | None:
    """The query as it is after an act that was accepted; None where it is about no single one."""
    if demand.act is not Act.SAVE:
        return None if kept is None else kept.ref
    if kept is None:
        return SavedRef(id=uuid.uuid4().hex, version=1)
    return SavedRef(id=kept.ref.id, version=kept.ref.version + 1)
