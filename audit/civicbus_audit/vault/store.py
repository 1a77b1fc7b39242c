"""The vault in its PostgreSQL: one round trip for many, and another where some are missing."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
from civicbus_schemas.errors import BusError, Unavailable
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.subject import (
    RANDOM_BYTES,
    Secret,
    Secrets,
    Subject,
    SubjectKind,
    VaultKey,
)

from civicbus_audit.index.database import connect, errors_translated

STATEMENT_S = 2
ATTEMPTS = 3

# Ordered, so that two who make the same secrets cannot wait for each other. A row that somebody
# else has made meanwhile is not returned: whoever asked asks again.
_MAKE = """
insert into vault.secret (subject, kind, random, pseudonym, since)
select w.*, %b::timestamptz
from unnest(%b::bytea[], %b::text[], %b::bytea[], %b::bytea[]) as w (subject)
order by w.subject
on conflict do nothing
returning subject
"""
_FIND = "select subject, random, since from vault.secret where subject = any(%b)"
_NAMED = "select subject, random, since from vault.secret where pseudonym = any(%b)"
_IS_OF = "select from vault.secret where pseudonym = %s and kind = %s"
_DESTROY = "delete from vault.secret where pseudonym = %s and kind = %s"


class PostgresVault:
    """The vault's table; the connection is made when it is needed, and anew after an error.

    What the login may do is the database's to say. For one thread at a time.
    """

    def __init__(self, dsn: str, key: VaultKey) -> None:
        self._dsn, self._key = dsn, key
        self._connection: psycopg.Connection[Any] | None = None

    def get_or_create(self, subjects: Collection[Subject]) -> Secrets:
        """As `Vault` says."""
        missing = {self._key.row_of(subject): subject for subject in subjects}
        found = dict[Subject, Secret]()
        for _ in range(ATTEMPTS):
            for row, secret in self._rows(_FIND, list(missing)):
                found[missing.pop(row)] = secret
            for row, secret in self._make(missing):
                found[missing.pop(row)] = secret
            if not missing:
                return found
        raise Unavailable("the vault neither shows secrets nor makes them", got=len(missing))

    def find(self, subjects: Collection[Subject]) -> Secrets:
        """As `Finding` says."""
        wanted = {self._key.row_of(subject): subject for subject in subjects}
        return {wanted[row]: secret for row, secret in self._rows(_FIND, list(wanted))}

    def named(self, pseudonyms: Collection[LedgerPseudonym]) -> Mapping[LedgerPseudonym, Secret]:
        """As `Finding` says."""
        names = [bytes.fromhex(name) for name in pseudonyms]
        return {secret.pseudonym: secret for _, secret in self._rows(_NAMED, names)}

    def has_person(self, pseudonym: LedgerPseudonym) -> bool:
        """As `Erasing` says."""
        return self._of_person(_IS_OF, pseudonym)

    def destroy(self, pseudonym: LedgerPseudonym) -> bool:
        """As `Erasing` says."""
        return self._of_person(_DESTROY, pseudonym)

    def close(self) -> None:
        """Close the connection; the next call makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _of_person(self, statement: LiteralString, pseudonym: LedgerPseudonym) -> bool:
        name = bytes.fromhex(pseudonym)
        return bool(self._execute(statement, name, SubjectKind.PERSON.value).rowcount)

    def _make(self, missing: Mapping[bytes, Subject]) -> list[tuple[bytes, Secret]]:
        """Offer each row a fresh secret; those that were taken, and are durable now."""
        if not missing:
            return []
        at = datetime.now(UTC)
        randoms = [os.urandom(RANDOM_BYTES) for _ in missing]
        secrets = [self._key.secret_of(random, since=at) for random in randoms]
        offered = dict(zip(missing, secrets, strict=True))
        kinds = [subject.kind.value for subject in missing.values()]
        names = [bytes.fromhex(secret.pseudonym) for secret in secrets]
        taken = self._execute(_MAKE, at, list(missing), kinds, randoms, names)
        return [(row, offered[row]) for (row,) in taken.fetchall()]

    def _rows(self, query: LiteralString, values: list[bytes]) -> list[tuple[bytes, Secret]]:
        if not values:
            return []
        rows = self._execute(query, values).fetchall()
        return [(row, self._key.secret_of(random, since=since)) for row, random, since in rows]

    def _execute(self, query: LiteralString, *values: Any) -> psycopg.Cursor[Any]:
        try:
            with errors_translated("reading the vault"):
                return self._connected().execute(query, values, binary=True)
        except BusError:
            self.close()
            raise

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            self._connection = connect(self._dsn, statement_s=STATEMENT_S)
        return self._connection
