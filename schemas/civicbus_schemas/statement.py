"""Statements: what an officer has signed about one version of an agreement.

The life of an agreement is a fold over its statements: a draft until each of its parties has
approved its very terms, then approved, suspended while any party says so, revoked for good once any
party does. Whether a signature is genuine is asked of a `Trust`, which the caller brings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from civicbus_schemas import ids
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.errors import InvalidAgreement, InvalidIdentifier
from civicbus_schemas.ids import AgencyId, AgreementRef
from civicbus_schemas.terms import exactly, text

MAX_REASON = 200
_DOMAIN = b"civicbus.statement.v1\x00"
_KEYS = {"word", "agreement", "terms", "agency", "role", "at", "reason", "key", "signature"}
_HEX = {"terms": 64, "key": 16, "signature": 128}


class Role(StrEnum):
    """On whose behalf an officer signs: of whoever gives the data, or of data protection."""

    PROVIDER = "provider"
    DATA_PROTECTION = "data-protection"


class Word(StrEnum):
    """What a statement says."""

    APPROVE = "approve"
    SUSPEND = "suspend"
    RESUME = "resume"
    REVOKE = "revoke"


class Standing(StrEnum):
    """What all statements about a version come to; whether its days have come is another matter."""

    DRAFT = "draft"
    APPROVED = "approved"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class Party(NamedTuple):
    """Who signs an agreement: an agency in one of the two roles."""

    agency: AgencyId
    role: Role

    def __str__(self) -> str:
        return f"{self.agency} ({self.role})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One signed statement. `terms` is the SHA-256 of the agreement's canonical JSON, hex.

    `key` names the officer's key, `signature` is Ed25519 over `signed_bytes`, both hex.
    """

    word: Word
    agreement: AgreementRef
    terms: str
    party: Party
    at: datetime
    key: str
    reason: str | None = None
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """What the officer's key signs: everything but the signature."""
        document = self.document()
        del document["signature"]
        return _DOMAIN + canonical_json(document)

    def document(self) -> dict[str, Any]:
        """The statement as JSON holds it."""
        return {
            "word": self.word.value,
            "agreement": str(self.agreement),
            "terms": self.terms,
            "agency": self.party.agency,
            "role": self.party.role.value,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "reason": self.reason,
            "key": self.key,
            "signature": self.signature,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """Whose key it is, and the key: 32 raw bytes of Ed25519."""

    party: Party
    public_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The keys that are trusted, by key id: of officers, and of those who announce policy sets.

    `verify(public key, message, signature)` says whether a signature is genuine.
    """

    officers: Mapping[str, Officer]
    announcers: Mapping[str, bytes]
    verify: Callable[[bytes, bytes, bytes], bool]

    def vouches(self, statement: Statement) -> bool:
        """Whether an officer of that party signed it."""
        officer = self.officers.get(statement.key)
        return (
            officer is not None
            and officer.party == statement.party
            and self.verify(
                officer.public_key, statement.signed_bytes(), bytes.fromhex(statement.signature)
            )
        )


def parse_statement(body: Any) -> Statement:
    """The statement in a JSON object; raises `InvalidAgreement`. Its signature is not checked."""
    where = "a statement on an agreement"
    exactly(body, _KEYS, where=where)
    for name, digits in _HEX.items():
        if not re.fullmatch(rf"[0-9a-f]{{{digits}}}", text(body[name], where=f"{where}: {name}")):
            raise InvalidAgreement(f"{where}: {name}", expected=f"{digits} lower-case hex digits")
    try:
        statement = Statement(
            word=Word(body["word"]),
            agreement=AgreementRef.parse(text(body["agreement"], where=where)),
            terms=body["terms"],
            party=Party(ids.agency_id(text(body["agency"], where=where)), Role(body["role"])),
            at=datetime.fromisoformat(text(body["at"], where=where)),
            reason=check_reason(body["reason"]),
            key=body["key"],
            signature=body["signature"],
        )
    except (ValueError, InvalidIdentifier):
        raise InvalidAgreement(
            f"{where} is malformed",
            expected=f"one of {[*Word]} by one of {[*Role]}, at a time with its zone",
        ) from None
    if statement.at.tzinfo is None or statement.document() != body:
        raise InvalidAgreement(f"{where} is not in its one spelling", expected="a time in UTC, µs")
    return statement


def check_reason(reason: Any) -> str | None:
    """The reason, if it is one line of at most `MAX_REASON` characters, or none."""
    if reason is None:
        return None
    if (
        not isinstance(reason, str)
        or not reason.strip()
        or len(reason) > MAX_REASON
        or len(reason.splitlines()) > 1
    ):
        raise InvalidAgreement(
            "the reason of a statement is refused",
            got=f"{len(reason)} characters" if isinstance(reason, str) else type(reason).__name__,
            expected=f"one line of 1 to {MAX_REASON} characters",
            next_step="say in one line why; the announcement carries it",
        )
    return reason


def standing_of(
    ref: AgreementRef, *, terms: str, parties: Iterable[Party], statements: Iterable[Statement]
) -> Standing:
    """What the statements about these terms come to.

    Each party holds a brake of its own: nobody resumes what another suspended. Of a party's
    statements the last one holds; of two at one time the one that stops.
    """
    last: dict[Party, Standing] = dict.fromkeys(parties, Standing.DRAFT)
    about = (s for s in statements if (s.agreement, s.terms) == (ref, terms) and s.party in last)
    for statement in sorted(about, key=lambda s: (s.at, s.word in {Word.SUSPEND, Word.REVOKE})):
        last[statement.party] = _after(last[statement.party], statement.word)
    for standing in (Standing.REVOKED, Standing.DRAFT, Standing.SUSPENDED):
        if standing in last.values():
            return standing
    return Standing.APPROVED


def _after(standing: Standing, word: Word) -> Standing:
    """Where one party stands after its next word; a word out of turn changes nothing."""
    match standing, word:
        case _, Word.REVOKE:
            return Standing.REVOKED
        case Standing.DRAFT, Word.APPROVE:
            return Standing.APPROVED
        case Standing.APPROVED, Word.SUSPEND:
            return Standing.SUSPENDED
        case Standing.SUSPENDED, Word.RESUME:
            return Standing.APPROVED
    return standing
