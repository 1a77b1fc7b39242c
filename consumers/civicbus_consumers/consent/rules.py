"""What consent events do to a subject's consents, and when a withdrawal binds. Pure.

An id names one consent for ever: the first `Given` settles what it covers, and a withdrawal ends
it for good. So the fold may see any event again, or late, and the state is the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from civicbus_schemas import ids
from civicbus_schemas.consent import NO_CONSENTS, Consent, SubjectConsents
from civicbus_schemas.errors import InvalidEvent, InvalidIdentifier, TooLarge
from civicbus_schemas.ids import AgencyId, EventType
from civicbus_schemas.vocabulary import ConsentStatus

GIVEN = EventType("consent.ConsentGiven")
WITHDRAWN = EventType("consent.ConsentWithdrawn")

MAX_FIELDS = 256
MAX_GIVEN_STATE_BYTES = 256 * 1024
MAX_STATE_BYTES = 512 * 1024
"""Above the first limit nothing more is given; a withdrawal of what is given fits always."""

_MAX_NAME = 128
_FIELD = re.compile(
    r"[a-z0-9-]{1,64}\.[A-Za-z0-9]{1,64}:[a-z][a-z0-9_]*(\[\])?(\.[a-z0-9_]+(\[\])?)*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The citizen lets this recipient have these fields for this purpose."""

    id: str
    recipient: AgencyId
    purpose: str
    fields: frozenset[str]
    at: datetime
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """The citizen ends the consent of that id; `recipient` and `purpose` are told, not checked."""

    id: str
    recipient: AgencyId
    purpose: str
    at: datetime


Change = Given | Withdrawn


def read_change(event_type: EventType, datum: Mapping[str, Any]) -> Change:
    """The change that a decoded consent event tells; raises `InvalidEvent`, which names no value.

    A withdrawal is refused for its id alone, and then no consent can have that id: whatever else
    is wrong with it must not keep a consent alive.
    """
    if event_type == WITHDRAWN:
        return Withdrawn(
            id=_consent_id(datum["consent_id"]),
            recipient=AgencyId(datum["recipient"][:_MAX_NAME]),
            purpose=datum["purpose"][:_MAX_NAME],
            at=datum["withdrawn_at"],
        )
    try:
        return Given(
            id=_consent_id(datum["consent_id"]),
            recipient=ids.agency_id(datum["recipient"]),
            purpose=ids.dotted_id(datum["purpose"], what="purpose"),
            fields=_fields(datum["fields"]),
            at=datum["given_at"],
            valid_until=datum["valid_until"],
        )
    except InvalidIdentifier as error:
        raise InvalidEvent(f"{event_type}: {error.what}", expected=error.expected) from None


def fold(state: SubjectConsents, change: Change) -> SubjectConsents:
    """The consents after the change; the same object when it changes nothing.

    A withdrawal of an unknown id leaves an entry that covers nothing, so that the consent it ends
    cannot come into force should its `Given` arrive late.
    """
    for index, known in enumerate(state.consents):
        if known.id == change.id:
            if isinstance(change, Given) or known.status is ConsentStatus.WITHDRAWN:
                return state
            ended = replace(
                known,
                version=known.version + 1,
                status=ConsentStatus.WITHDRAWN,
                since=change.at,
            )
            return SubjectConsents((*state.consents[:index], ended, *state.consents[index + 1 :]))
    return SubjectConsents((*state.consents, _first(change)))


def fold_encoded(body: bytes | None, change: Change) -> bytes | None:
    """The state's Avro body after the change, None when it changes nothing; raises `TooLarge`.

    What is too large is refused before it is in force: once nothing more can be given to a
    subject, a withdrawal of an id that was never given has nothing to prevent.
    """
    state = NO_CONSENTS if body is None else SubjectConsents.decode(body)
    after = fold(state, change)
    if after is state:
        return None
    encoded = after.encode()
    grows = len(after.consents) > len(state.consents)
    limit = MAX_GIVEN_STATE_BYTES if isinstance(change, Given) else MAX_STATE_BYTES
    if grows and len(encoded) > limit:
        raise TooLarge(
            "a subject has too many consents", got=f"{len(encoded)} bytes", expected=limit
        )
    return encoded


def is_folded(position: int, offset: int) -> bool:
    """Whether a folder whose stable committed position is this has folded the event at `offset`."""
    return position > offset


def is_binding(position: int, end: int) -> bool:
    """Whether a group at this stable committed position decides on all state before `end`."""
    return position >= end


def _first(change: Change) -> Consent:
    match change:
        case Given():
            return Consent(
                id=change.id,
                version=1,
                recipient=change.recipient,
                purpose=change.purpose,
                fields=change.fields,
                status=ConsentStatus.GIVEN,
                since=change.at,
                valid_until=change.valid_until,
            )
        case Withdrawn():
            return Consent(
                id=change.id,
                version=1,
                recipient=change.recipient,
                purpose=change.purpose,
                fields=frozenset(),
                status=ConsentStatus.WITHDRAWN,
                since=change.at,
            )


def _consent_id(text: str) -> str:
    """The id in its one spelling, lest a withdrawal miss the consent that it names."""
    try:
        return str(UUID(text))
    except ValueError:
        raise InvalidEvent("malformed consent id", expected="a UUID") from None


def _fields(texts: Sequence[str]) -> frozenset[str]:
    if not 0 < len(texts) <= MAX_FIELDS:
        raise InvalidEvent(
            "a consent names too few or too many fields",
            got=len(texts),
            expected=f"1 to {MAX_FIELDS}",
        )
    if not all(len(text) <= 2 * _MAX_NAME and _FIELD.fullmatch(text) for text in texts):
        raise InvalidEvent("malformed field", expected="<event type or view>:<path>")
    return frozenset(texts)
