"""Whom and what the vault keeps a secret for, and what follows from that secret. Pure.

A subject's secret is HMAC-SHA256(vault key, "secret" ‖ 0x00 ‖ 32 random bytes of its row): key and
row are both needed. From it come the subject's name in records and the key that seals what is said
about it, so that both end when the row does. The row is found by a keyed name of the subject, and
holds no number, name or case.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.pseudonym import SCHEME_VN_PIN, LedgerPseudonym

RANDOM_BYTES = 32
MIN_KEY_BYTES = 32


class SubjectKind(StrEnum):
    """What a subject is."""

    PERSON = SCHEME_VN_PIN
    OFFICER = "officer"
    CASE = "case"

    @property
    def what(self) -> str:
        """In a sentence."""
        return "person" if self is SubjectKind.PERSON else self.value


class Subject(NamedTuple):
    """A person by number, or an agency's officer or case by the name the agency gives it."""

    kind: SubjectKind
    name: str

    def __repr__(self) -> str:
        return f"Subject({self.kind})"  # never whose name it is


def person(pin: Pin) -> Subject:
    """The person with this number."""
    return Subject(SubjectKind.PERSON, pin.number)


def officer(agency: AgencyId, name: str) -> Subject:
    """An agency's officer."""
    return Subject(SubjectKind.OFFICER, f"{agency}\x00{name}")


def case(agency: AgencyId, number: str) -> Subject:
    """An agency's case."""
    return Subject(SubjectKind.CASE, f"{agency}\x00{number}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """What follows from a subject's secret; `since` is when the vault made it."""

    pseudonym: LedgerPseudonym
    sealing_key: bytes = field(repr=False)
    since: datetime


Secrets = Mapping[Subject, Secret]
"""The secrets of those subjects that were asked for."""


class VaultKey:
    """The key without which the vault's rows say nothing; raises `Refused` for a short one."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise Refused("the vault's key is too short", expected=f"{MIN_KEY_BYTES} bytes")
        self._key = key

    def row_of(self, subject: Subject) -> bytes:
        """The 32 bytes by which a subject's row is found."""
        return _mac(self._key, f"subject\x00{subject.kind}\x00{subject.name}".encode())

    def secret_of(self, random: bytes, *, since: datetime) -> Secret:
        """What follows from a row's random bytes."""
        secret = _mac(self._key, b"secret\x00" + random)
        return Secret(
            pseudonym=LedgerPseudonym(_mac(secret, b"pseudonym")[:16].hex()),
            sealing_key=_mac(secret, b"seal"),
            since=since,
        )


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, hashlib.sha256)
