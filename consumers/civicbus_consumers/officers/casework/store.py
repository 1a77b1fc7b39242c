"""The cases in PostgreSQL: an act is kept in one transaction, with how the case stands after it.

The process asks one thing after the other (`desk`), so that no two acts meet at one case.
"""

from __future__ import annotations

import json
from typing import Any

from civicbus_schemas.codec import canonical_json
from civicbus_schemas.ids import AgencyId, RecordId
from sqlalchemy import Engine, RowMapping, func, select
from sqlalchemy.dialects.postgresql import insert

from civicbus_consumers.consent.registry.sealing import RowSeal
from civicbus_consumers.officers.casework.acts import Act, Case, Entry, File, KeysOf
from civicbus_consumers.officers.casework.rules import MAX_OPEN
from civicbus_consumers.officers.casework.tables import act, case
from civicbus_consumers.population.database import errors_translated


class CaseStore:
    """Where cases are kept. Calls raise `Unavailable` or `Fatal`; `files` also `EvidenceBroken`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def find(self, id_: str) -> Case | None:
        """How a case stands; None where there is none of that id."""
        with errors_translated("reading a case"), self.engine.connect() as connection:
            row = connection.execute(select(case).where(case.c.id == id_)).mappings().one_or_none()
        return None if row is None else _case(row)

    def count_acts(self, id_: str) -> int:
        """How many acts a case holds."""
        counted = select(func.count()).where(act.c.case_id == id_)
        with errors_translated("counting acts"), self.engine.connect() as connection:
            return connection.execute(counted).scalar_one()

    def count_open(self, agency: AgencyId) -> int:
        """How many cases of an agency are open."""
        counted = select(func.count()).where(case.c.agency == agency, case.c.closed_at.is_(None))
        with errors_translated("counting cases"), self.engine.connect() as connection:
            return connection.execute(counted).scalar_one()

    def keep(self, after: Case, entry: Entry, *, key: bytes) -> None:
        """Keep an act, sealed under the case's key, and how the case stands after it."""
        values = {name: getattr(after, name) for name in case.columns.keys()}  # noqa: SIM118
        changed = {"assignee": after.assignee, "closed_at": after.closed_at}
        row = insert(case).values(values).on_conflict_do_update(index_elements=["id"], set_=changed)
        told = canonical_json({"officer": entry.officer, "told": dict(entry.told)})
        done = insert(act).values(
            case_id=after.id,
            act=entry.act.value,
            at=entry.at,
            officer=entry.by,
            record_id=entry.record_id,
            sealed=RowSeal(key).close(told, of=entry.record_id),
        )
        with errors_translated("keeping a case"), self.engine.begin() as connection:
            connection.execute(row)
            connection.execute(done)

    def files(self, agency: AgencyId, keys_of: KeysOf) -> tuple[File, ...]:
        """The newest cases of an agency; of one without a key who and what is erased."""
        cases = select(case).where(case.c.agency == agency)
        cases = cases.order_by(case.c.opened_at.desc(), case.c.id).limit(MAX_OPEN)
        with errors_translated("reading cases"), self.engine.connect() as connection:
            found = [_case(row) for row in connection.execute(cases).mappings()]
            mine = select(act).where(act.c.case_id.in_([one.id for one in found]))
            rows = connection.execute(mine.order_by(act.c.number)).mappings().all()
        keys = keys_of([one.id for one in found])
        return tuple(
            File(
                case=one,
                entries=tuple(_entry(r, keys.get(one.id)) for r in rows if r["case_id"] == one.id),
            )
            for one in found
        )


def _entry(row: RowMapping, key: bytes | None) -> Entry:
    told: dict[str, Any] = {"officer": "", "told": {}}
    if key is not None:
        told = json.loads(RowSeal(key).open(row["sealed"], of=row["record_id"]))
    return Entry(
        act=Act(row["act"]),
        at=row["at"],
        record_id=RecordId(row["record_id"]),
        by=row["officer"],
        officer=told["officer"],
        told=told["told"],
    )


def _case(row: RowMapping) -> Case:
    return Case(**{**row, "agency": AgencyId(row["agency"])})
