"""The saved queries in PostgreSQL: one row each, of the newest version.

The process asks one thing after the other (`officers.journal`), so no two acts meet at one query.
"""

from __future__ import annotations

from dataclasses import asdict

from civicbus_schemas.ids import AgencyId
from sqlalchemy import Engine, RowMapping, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from civicbus_consumers.officers.casework.tables import saved
from civicbus_consumers.officers.rules import SavedRef
from civicbus_consumers.officers.saved.acts import Kept
from civicbus_consumers.population.database import errors_translated

MAX_LISTED = 200


class SavedStore:
    """Where saved queries are kept. Calls raise `Unavailable` or `Fatal`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def find(self, id_: str) -> Kept | None:
        """The newest version of a query; None where there is none of that id."""
        one = select(saved).where(saved.c.id == id_)
        with errors_translated("reading a saved query"), self.engine.connect() as connection:
            row = connection.execute(one).mappings().one_or_none()
        return None if row is None else _kept(row)

    def count(self, owner: str) -> int:
        """How many queries an official keeps."""
        counted = select(func.count()).select_from(saved).where(saved.c.owner == owner)
        with errors_translated("counting saved queries"), self.engine.connect() as connection:
            return connection.execute(counted).scalar_one()

    def of(self, agency: AgencyId, owner: str | None) -> tuple[Kept, ...]:
        """The newest queries of an agency, of one owner where one is named."""
        some = select(saved).where(saved.c.agency == agency)
        if owner is not None:
            some = some.where(saved.c.owner == owner)
        some = some.order_by(saved.c.at.desc(), saved.c.id).limit(MAX_LISTED)
        with errors_translated("reading saved queries"), self.engine.connect() as connection:
            return tuple(_kept(row) for row in connection.execute(some).mappings())

    def keep(self, kept: Kept) -> None:
        """Keep a query in place of its version before."""
        values = {name: getattr(kept, name) for name in ("agency", "owner", "at", "sealed")}
        row = insert(saved).values(**asdict(kept.ref), **values)
        changed = {"version": kept.ref.version, "at": kept.at, "sealed": kept.sealed}
        row = row.on_conflict_do_update(index_elements=["id"], set_=changed)
        with errors_translated("keeping a saved query"), self.engine.begin() as connection:
            connection.execute(row)

    def drop(self, id_: str) -> None:
        """Forget a query; harmless where there is none."""
        gone = delete(saved).where(saved.c.id == id_)
        with errors_translated("dropping a saved query"), self.engine.begin() as connection:
            connection.execute(gone)


def _kept(row: RowMapping) -> Kept:
    return Kept(
        ref=SavedRef(id=row["id"], version=row["version"]),
        agency=AgencyId(row["agency"]),
        owner=row["owner"],
        at=row["at"],
        sealed=bytes(row["sealed"]),
    )
