"""Reservations in the registry's PostgreSQL: uses of consents, and places in agreements' days.

Numbers are unique within a consent's period, and claims within a consent: the database's own rules
decide who gets the last use. Who loses a number to somebody else asks again. Agreements that limit
people per day are counted in the same way, in a table of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psycopg
from civicbus_audit.index.database import connect
from civicbus_producers.settings import read_secret
from civicbus_schemas.errors import BusError
from sqlalchemy import Table

from civicbus_consumers.consent.registry.tables import use
from civicbus_consumers.consent.uses import Use
from civicbus_consumers.population.database import errors_translated

STATEMENT_S = 2

# Ordered, so that two who reserve the same cannot wait for each other.
_RESERVE = """
with wanted as (
    select * from unnest(%s::uuid[], %s::text[], %s::text[], %s::integer[])
        with ordinality as w (consent_id, claim, period, allowed, place)
), kept as (
    select w.consent_id, w.claim from wanted w
    join {table} u on (u.{counter}, u.claim) = (w.consent_id, w.claim)
), fresh as (
    select w.*, row_number() over (partition by consent_id, period order by place)
        + coalesce((select max(u.number) from {table} u
                    where (u.{counter}, u.period) = (w.consent_id, w.period)), 0) as number
    from wanted w
    where not exists (select from kept k where (k.consent_id, k.claim) = (w.consent_id, w.claim))
), made as (
    insert into {table} ({counter}, claim, period, number)
    select consent_id, claim, period, number from fresh where number <= allowed
    order by consent_id, period, number
    on conflict do nothing
    returning {counter} as consent_id, claim
)
select consent_id::text, claim, true from kept
union all select consent_id::text, claim, true from made
union all select consent_id::text, claim, false from fresh where number > allowed
"""


class RegistryUses:
    """One of the registry's tables by one connection, made when it is needed and after an error.

    The file's login needs no more than the role `consent_uses` has.
    """

    def __init__(self, dsn_file: Path, *, table: Table = use) -> None:
        self._dsn_file = dsn_file
        counter, *_ = table.primary_key.columns.keys()
        self._statement = _RESERVE.format(table=table.fullname, counter=counter).encode()
        self._connection: psycopg.Connection[Any] | None = None

    def reserve(self, uses: Sequence[Use]) -> frozenset[Use]:
        """As `Reservations` says."""
        granted, open_ = set[Use](), {(use.consent, use.claim): use for use in uses}
        try:
            while open_:
                for consent, claim, got in self._ask(open_.values()):
                    reserved = open_.pop((consent, claim))
                    if got:
                        granted.add(reserved)
        except BusError:
            self.close()
            raise
        return frozenset(granted)

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, uses: Iterable[Use]) -> list[tuple[str, str, bool]]:
        """Answers; about a use whose number somebody else took meanwhile there is none."""
        columns = zip(*((u.consent, u.claim, u.period, u.allowed) for u in uses), strict=True)
        with errors_translated("reserving uses of consents"):
            return self._connected().execute(self._statement, list(map(list, columns))).fetchall()

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            dsn = read_secret(self._dsn_file)
            self._connection = connect(dsn, statement_s=STATEMENT_S)
        return self._connection
