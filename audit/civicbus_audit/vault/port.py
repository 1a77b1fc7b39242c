"""What the vault does for whom: recorders get or create, readers find, the eraser destroys.

Every call raises `Unavailable` where the vault does not answer: then nothing is recorded, and so
nothing is released. A login that lacks the right gets `Fatal`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.subject import Secret, Secrets, Subject


class Finding(Protocol):
    """What readers may."""

    def find(self, subjects: Collection[Subject]) -> Secrets:
        """The secrets of those subjects that have one."""
        ...

    def named(self, pseudonyms: Collection[LedgerPseudonym]) -> Mapping[LedgerPseudonym, Secret]:
        """The secrets behind names in records, of those that are not destroyed."""
        ...


class Vault(Finding, Protocol):
    """What recorders may besides."""

    def get_or_create(self, subjects: Collection[Subject]) -> Secrets:
        """Everybody's secret; one that was missing is made, and durable before this returns."""
        ...


class Erasing(Finding, Protocol):
    """What the eraser may besides finding."""

    def has_person(self, pseudonym: LedgerPseudonym) -> bool:
        """Whether this is a person's name in records, and his secret is there."""
        ...

    def destroy(self, pseudonym: LedgerPseudonym) -> bool:
        """Destroy the secret of the person behind a name for good; False where there is none.

        An officer's or a case's stays: what they did is no person's to take out of the evidence.
        """
        ...
