"""The desk where acts upon cases are put: judged, recorded, and only then done.

    1. judge   2. record, and wait for the acknowledgement   3. keep the act, or read the files
    4. the next page may say that this one was released

It takes its turns with the desk of questions, in one journal. A process that dies between
2 and 4 leaves a record of which nobody says that it was released; whether the act was kept, the
case's file tells.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from civicbus_audit.query import Query
from civicbus_schemas import subject
from civicbus_schemas.errors import BusError
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.subject import Secrets, officer
from civicbus_schemas.vocabulary import Reason

from civicbus_consumers.officers.acts import secret_of
from civicbus_consumers.officers.casework.acts import Act, Case, Demand, Entry, File, KeysOf, Linked
from civicbus_consumers.officers.casework.records import matter_of, record_act, subjects_of
from civicbus_consumers.officers.casework.rules import judge
from civicbus_consumers.officers.journal import Journal, Receipt, undone
from civicbus_consumers.officers.problems import OfficersCode
from civicbus_consumers.officers.reading import Shelf
from civicbus_consumers.officers.records import officer_of
from civicbus_consumers.officers.rules import Official
from civicbus_consumers.officers.token import Pass


class KeepsCases(Protocol):
    """Where cases are kept (`store.CaseStore`). Calls raise `Unavailable` or `Fatal`."""

    def find(self, id_: str) -> Case | None:
        """How a case stands."""
        ...

    def count_acts(self, id_: str) -> int:
        """How many acts a case holds."""
        ...

    def count_open(self, agency: AgencyId) -> int:
        """How many cases of an agency are open."""
        ...

    def keep(self, after: Case, entry: Entry, *, key: bytes) -> None:
        """Keep an act, sealed under the case's key, and how the case stands after it."""
        ...

    def files(self, agency: AgencyId, keys_of: KeysOf) -> Sequence[File]:
        """The newest cases of an agency; of one without a key who and what is erased."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an act came to: the record, and the files where they were looked at."""

    receipt: Receipt
    files: Sequence[File] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDesk:
    """Does one act after the other, each on record first."""

    journal: Journal
    shelf: Shelf
    store: KeepsCases

    def act(self, holder: Pass, demand: Demand) -> Done:
        """Do it; raises `OfficersProblem`."""
        with self.journal.held():
            case, refused = self._judge(holder, demand)  # 1
            secrets = self.journal.names(set(subjects_of(holder.asker, demand)), asker=holder.asker)
            receipt, page = self.journal.write(
                lambda stamp: record_act(holder, demand, refused, secrets=secrets, stamp=stamp),
                secret=secret_of(holder.asker, demand),
                secrets=secrets,
                at=datetime.now(UTC),
            )  # 2
            if refused is not None:
                raise self.journal.refusal(page, refused, receipt)
            try:
                return self.journal.finish(
                    page, lambda: self._do(holder, demand, case, secrets=secrets, receipt=receipt)
                )  # 3, 4
            except BusError as error:
                raise undone(OfficersCode.CASES_UNAVAILABLE, error, receipt) from error

    def _judge(self, holder: Pass, demand: Demand) -> tuple[Case | None, Reason | None]:
        try:
            case = None if demand.case is None else self.store.find(demand.case)
            linked, count = self._linked(demand), self._count(holder, demand)
        except BusError as error:
            raise undone(OfficersCode.CASES_UNAVAILABLE, error, None) from error
        return case, judge(holder.asker, demand, case=case, linked=linked, count=count)

    def _count(self, holder: Pass, demand: Demand) -> int:
        if demand.act is Act.OPEN:
            return self.store.count_open(holder.asker.agency)
        return 0 if demand.case is None else self.store.count_acts(demand.case)

    def _linked(self, demand: Demand) -> Linked | None:
        if demand.record is None:
            return None
        found = self.shelf.find(Query(id=demand.record, limit=1))
        return Linked(kind=found[0].kind, recipient=found[0].recipient) if found else None

    def _do(
        self,
        holder: Pass,
        demand: Demand,
        case: Case | None,
        *,
        secrets: Secrets,
        receipt: Receipt,
    ) -> Done:
        agency, by = holder.asker.agency, officer_of(holder.asker, secrets) or ""
        matter = matter_of(holder.asker, demand)
        if matter is None:
            return Done(
                receipt=receipt, files=self.store.files(agency, partial(self._keys, agency))
            )
        before = case or Case(
            id=demand.case or "", agency=agency, opened_by=by, opened_at=receipt.recorded_at
        )
        assignee = demand.assignee and secrets[officer(agency, demand.assignee)].pseudonym
        told = demand.document()
        entry = Entry(
            act=demand.act,
            at=receipt.recorded_at,
            record_id=receipt.record_id,
            by=by,
            officer=holder.asker.name if isinstance(holder.asker, Official) else "",
            told={name: told[name] for name in ("text", "assignee", "record") if name in told},
        )
        after = before.after(demand.act, assignee=assignee, at=entry.at)
        self.store.keep(after, entry, key=secrets[matter].sealing_key)
        return Done(receipt=receipt)

    def _keys(self, agency: AgencyId, cases: Collection[str]) -> Mapping[str, bytes]:
        found = self.journal.vault.find([subject.case(agency, one) for one in cases])
        keys = {one: found.get(subject.case(agency, one)) for one in cases}
        return {one: secret.sealing_key for one, secret in keys.items() if secret is not None}
