"""Identifiers as distinct types, each checked once where it enters."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass
from typing import NewType
from uuid import UUID

from civicbus_schemas.errors import InvalidIdentifier

AgencyId = NewType("AgencyId", str)
EventType = NewType("EventType", str)  # `<family>.<Name>`, the ce_type
EventId = NewType("EventId", str)
RecordId = NewType("RecordId", str)  # 32 lower-case hex characters
RecorderId = NewType("RecorderId", str)  # 32 lower-case hex characters
PolicyVersion = NewType("PolicyVersion", str)  # SHA-256 of the policy set, hex
Fingerprint = NewType("Fingerprint", str)  # SHA-256 of a schema document, hex

MAX_ID_LENGTH = 128

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_DOTTED = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)+")
_EVENT_TYPE = re.compile(r"([a-z][a-z0-9]*(?:-[a-z0-9]+)*)\.([A-Z][A-Za-z0-9]*)")
_HEX32 = re.compile(r"[0-9a-f]{32}")


def _matched(pattern: re.Pattern[str], text: str, *, what: str, expected: str) -> str:
    if len(text) > MAX_ID_LENGTH or not pattern.fullmatch(text):
        # Not the text itself: what stands where an id should be may be a person's name or number.
        raise InvalidIdentifier(
            f"malformed {what}", got=f"{len(text)} characters", expected=expected
        )
    return text


def agency_id(text: str) -> AgencyId:
    """An agency's id, such as `hospital-bach-mai`."""
    expected = "lower-case words joined by '-'"
    return AgencyId(_matched(_NAME, text, what="agency id", expected=expected))


def dotted_id(text: str, *, what: str) -> str:
    """The id of an agreement, a purpose or a legal basis, such as `law.state-management`."""
    return _matched(_DOTTED, text, what=what, expected="lower-case words joined by '.'")


def family_id(text: str) -> str:
    """The name of a family of event types, such as `civil-status`."""
    return word_id(text, what="family")


def word_id(text: str, *, what: str) -> str:
    """A name of one word, such as the group of purposes `one-stop`."""
    return _matched(_NAME, text, what=what, expected="lower-case words joined by '-'")


def event_type(text: str) -> EventType:
    """An event type `<family>.<Name>`, such as `civil-status.BirthRegistered`."""
    return EventType(
        _matched(_EVENT_TYPE, text, what="event type", expected="<family>.<PascalCaseName>")
    )


def family_of(type_: EventType) -> str:
    """The family of an event type: what stands before the dot."""
    return type_.partition(".")[0]


def hex_id(text: str, *, what: str) -> str:
    """A random or derived id of 16 bytes as 32 lower-case hex characters."""
    return _matched(_HEX32, text, what=what, expected="32 lower-case hex characters")


def new_recorder_id() -> RecorderId:
    """A fresh random id for one incarnation of a process that may release."""
    return RecorderId(secrets.token_hex(16))


def new_event_id() -> EventId:
    """A fresh UUIDv7 (RFC 9562 section 5.7): unique, and ordered by time for the reader's sake."""
    stamp = time.time_ns() // 1_000_000
    value = (stamp & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return EventId(str(UUID(int=value)))


@dataclass(frozen=True, slots=True, order=True)
class Pin:
    """A personal identification number: 12 digits `PPP C YY RRRRRR` (Law 26/2023 Art 12).

    It tells sex and year of birth, so it is personal data everywhere: `repr` hides it.
    Whether province, century and birth year fit is the identity authority's rule, not a shape.
    """

    number: str

    def __post_init__(self) -> None:
        if len(self.number) != 12 or not (self.number.isascii() and self.number.isdigit()):
            raise InvalidIdentifier(
                "malformed PIN", got=f"{len(self.number)} characters", expected="12 digits"
            )

    def __repr__(self) -> str:
        return "Pin('************')"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, order=True)
class AgreementRef:
    """One version of an agreement, written `vss.child-health-insurance@3`."""

    id: str
    version: int

    def __str__(self) -> str:
        return f"{self.id}@{self.version}"

    @classmethod
    def parse(cls, text: str) -> AgreementRef:
        """The reference written as `<id>@<version>`; raises `InvalidIdentifier`."""
        name, _, version = text.partition("@")
        if not re.fullmatch(r"[1-9][0-9]{0,5}", version):
            raise InvalidIdentifier("malformed agreement reference", expected="<id>@<version>")
        return cls(dotted_id(name, what="agreement id"), int(version))
