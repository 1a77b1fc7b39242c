"""What consent events do to a subject's consents, and when a withdrawal binds. Pure.

An id names one consent for ever: the first `Given` settles what it covers, the `Changed` of the
highest version how it stands, and a withdrawal ends it for good. So the fold may see any event
again, late or out of order, and the state is the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from civicbus_schemas import ids
from civicbus_schemas.consent import NO_CONSENTS, Consent, SubjectConsents, Uses, maybe_uses
from civicbus_schemas.errors import InvalidEvent, InvalidIdentifier, TooLarge
from civicbus_schemas.ids import AgencyId, EventType
from civicbus_schemas.vocabulary import ConsentStatus, UsePeriod

GIVEN = EventType("consent.ConsentGiven")
CHANGED = EventType("consent.ConsentChanged")
WITHDRAWN = EventType("consent.ConsentWithdrawn")
EVENT_TYPES = frozenset({GIVEN, CHANGED, WITHDRAWN})

MAX_FIELDS = 256
MAX_VERSION = 2**53
MAX_USES = 1_000_000
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
    uses: Uses | None = None
    erase_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The consent stands so from this version (2 or more) on: renewed, paused or resumed."""

    id: str
    recipient: AgencyId
    purpose: str
    version: int
    status: ConsentStatus
    at: datetime
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """The citizen ends the consent of that id; `recipient` and `purpose` are told, not checked."""

    id: str
    recipient: AgencyId
    purpose: str
    at: datetime


Change = Given | Changed | Withdrawn


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
        about = {
            "id": _consent_id(datum["consent_id"]),
            "recipient": ids.agency_id(datum["recipient"]),
            "purpose": ids.dotted_id(datum["purpose"], what="purpose"),
            "valid_until": datum["valid_until"],
        }
    except InvalidIdentifier as error:
        raise InvalidEvent(f"{event_type}: {error.what}", expected=error.expected) from None
    if event_type == CHANGED:
        version, status = _standing(datum)
        return Changed(**about, version=version, status=status, at=datum["changed_at"])
    return Given(
        **about,
        fields=_fields(datum["fields"]),
        at=datum["given_at"],
        uses=_uses(datum.get("uses")),  # events of the contract's first version lack both
        erase_at=datum.get("erase_at"),
    )


def fold(state: SubjectConsents, change: Change) -> SubjectConsents:
    """The consents after the change; the same object when it changes nothing.

    What is told of an unknown id leaves an entry that covers nothing, so that a consent whose
    `Given` arrives late stands as it was changed, and does not come into force once withdrawn.
    """
    for index, known in enumerate(state.consents):
        if known.id == change.id:
            after = _changed(known, change)
            if after == known:
                return state
            return SubjectConsents((*state.consents[:index], after, *state.consents[index + 1 :]))
    return SubjectConsents((*state.consents, _changed(_unheard_of(change), change)))


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
    given = isinstance(change, Given)
    grows = given or len(after.consents) > len(state.consents)
    limit = MAX_GIVEN_STATE_BYTES if given else MAX_STATE_BYTES
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


def _changed(known: Consent, change: Change) -> Consent:
    """The consent after the change. Version 0 is none at all; what ended stays one above all."""
    ended = known.status is ConsentStatus.WITHDRAWN
    match change:
        case Given() if not known.fields:
            covering = replace(
                known,
                recipient=change.recipient,
                purpose=change.purpose,
                fields=change.fields,
                uses=change.uses,
                erase_at=change.erase_at,
            )
            if known.version:
                return covering  # it had been changed before we heard that it was given
            return replace(covering, version=1, valid_until=change.valid_until)
        case Changed() if ended:
            return replace(known, version=max(known.version, change.version + 1))
        case Changed() if change.version > known.version:
            return replace(
                known,
                version=change.version,
                status=change.status,
                since=change.at,
                valid_until=change.valid_until,
            )
        case Withdrawn() if not ended:
            return replace(
                known,
                version=max(known.version, 1) + 1,
                status=ConsentStatus.WITHDRAWN,
                since=change.at,
                valid_until=None,
            )
        case _:
            return known


def _unheard_of(change: Change) -> Consent:
    return Consent(
        id=change.id,
        version=0,
        recipient=change.recipient,
        purpose=change.purpose,
        fields=frozenset(),
        status=ConsentStatus.GIVEN,
        since=change.at,
    )


def _standing(datum: Mapping[str, Any]) -> tuple[int, ConsentStatus]:
    version, status = datum["version"], datum["status"]
    if not 2 <= version <= MAX_VERSION:
        raise InvalidEvent("malformed version of a consent", expected=f"2 to {MAX_VERSION}")
    if status not in {ConsentStatus.GIVEN, ConsentStatus.PAUSED}:
        raise InvalidEvent("malformed status of a changed consent", expected="given or paused")
    return version, ConsentStatus(status)


def _uses(datum: Mapping[str, Any] | None) -> Uses | None:
    try:
        uses = maybe_uses(datum)
    except ValueError:
        raise InvalidEvent("malformed period of uses", expected=", ".join(UsePeriod)) from None
    if uses is not None and not 0 < uses.count <= MAX_USES:
        raise InvalidEvent("malformed number of uses", expected=f"1 to {MAX_USES}")
    return uses


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
