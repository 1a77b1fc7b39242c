"""The vault in memory, with fault switches; two of one name hold the same secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from civicbus_audit.index.database import make_engine
from civicbus_audit.vault.database import migrate
from civicbus_consumers.recording.seal import open_part, sealed_under
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.record import Record
from civicbus_schemas.subject import Secret, Secrets, Subject, SubjectKind, VaultKey
from sqlalchemy import text

KEY_BYTES = b"v" * 32
KEY = VaultKey(KEY_BYTES)
_INSERT = text("insert into vault.secret values (:row, :random, :name, :since, :kind)")
SINCE = datetime(2026, 11, 22, tzinfo=UTC)


def secret_of(subject: Subject, *, life: int = 0) -> Secret:
    """What a `FakeVault` holds of a subject; `life` counts how often it was destroyed before."""
    return KEY.secret_of(_random(subject, life=life), since=SINCE)


def _random(subject: Subject, *, life: int = 0) -> bytes:
    return hashlib.sha256(f"{life}\x00{subject.kind}\x00{subject.name}".encode()).digest()


def fill_vault(dsn_file: Path, subjects: Collection[Subject]) -> None:
    """Make the real table in an empty database, with the secrets that `secret_of` tells."""
    engine = make_engine(dsn_file)
    migrate(engine)
    with engine.begin() as connection:
        for subject in subjects:
            row, name = KEY.row_of(subject), bytes.fromhex(secret_of(subject).pseudonym)
            values = {"row": row, "random": _random(subject), "name": name, "since": SINCE}
            connection.execute(_INSERT, values | {"kind": subject.kind.value})
    engine.dispose()


def opened(sealed: bytes, record: Record) -> tuple[bytes, bytes]:
    """Salt and plaintext of a part that was sealed under a `FakeVault`'s secret of somebody met."""
    return open_part(sealed, key=MET[sealed_under(record)].sealing_key, id_=record.id)


MET: dict[str | None, Secret] = {}
"""Every secret that any of these made, by name; they are the same in all of them."""


@dataclass
class FakeVault:
    """`fails`: raises and made nothing; `lies`: made and raises. `asked` counts calls."""

    fails: bool = False
    lies: bool = False
    asked: list[tuple[Subject, ...]] = field(default_factory=list)
    rows: dict[bytes, Secret] = field(default_factory=dict)
    lives: dict[bytes, int] = field(default_factory=dict)
    persons: set[LedgerPseudonym] = field(default_factory=set)

    def get_or_create(self, subjects: Collection[Subject]) -> Secrets:
        """As `Vault` says."""
        self._ask(subjects)
        for subject in subjects:
            row = KEY.row_of(subject)
            life = self.lives.get(row, 0)
            made = self.rows.setdefault(row, secret_of(subject, life=life))
            MET[made.pseudonym] = made
            if subject.kind is SubjectKind.PERSON:
                self.persons.add(made.pseudonym)
        if self.lies:
            raise Unavailable("the answer was lost")
        return {subject: self.rows[KEY.row_of(subject)] for subject in subjects}

    def find(self, subjects: Collection[Subject]) -> Secrets:
        """As `Finding` says."""
        self._ask(subjects)
        found = {subject: self.rows.get(KEY.row_of(subject)) for subject in subjects}
        return {subject: secret for subject, secret in found.items() if secret is not None}

    def named(self, pseudonyms: Collection[LedgerPseudonym]) -> Mapping[LedgerPseudonym, Secret]:
        """As `Finding` says."""
        self._ask(())
        return {s.pseudonym: s for s in self.rows.values() if s.pseudonym in pseudonyms}

    def has_person(self, pseudonym: LedgerPseudonym) -> bool:
        """As `Erasing` says."""
        return bool(self._rows_of_person(pseudonym))

    def destroy(self, pseudonym: LedgerPseudonym) -> bool:
        """As `Erasing` says."""
        found = self._rows_of_person(pseudonym)
        for row in found:
            self.lives[row] = self.lives.get(row, 0) + 1
            del self.rows[row]
        return bool(found)

    def close(self) -> None:
        """Nothing is open."""

    def _rows_of_person(self, pseudonym: LedgerPseudonym) -> list[bytes]:
        self._ask(())
        named = [row for row, secret in self.rows.items() if secret.pseudonym == pseudonym]
        return named if pseudonym in self.persons else []

    def _ask(self, subjects: Collection[Subject]) -> None:
        self.asked.append(tuple(subjects))
        if self.fails:
            raise Unavailable("the vault does not answer")
