"""CloudEvents 1.0 in Kafka's binary mode: the headers of events and deliveries.

Source: CloudEvents Kafka Protocol Binding 1.0.2 section 3.2; the extensions `purpose`,
`legalbasis`, `agreement`, `recordid` and `consent` on deliveries are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from civicbus_schemas import ids
from civicbus_schemas.errors import InvalidEnvelope, InvalidIdentifier
from civicbus_schemas.ids import AgreementRef, EventId, EventType, RecordId

CONTENT_TYPE = "application/avro"
MAX_HEADERS = 32
MAX_HEADER_BYTES = 1024
MAX_FORMER = 200
MAX_FORMER_BYTES = MAX_FORMER * 66

_REQUIRED = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_FORMER = re.compile(r"[0-9a-f]{32}:[0-9a-f]{32}(?: [0-9a-f]{32}:[0-9a-f]{32})*")
_EVENT_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")
_CONSENT = re.compile(r"[0-9A-Za-z-]{1,64}")
_SOURCE = re.compile(r"/[0-9a-z][0-9a-z._/-]{0,127}")

Headers = list[tuple[str, bytes]]
Pair = tuple[str, bytes | str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Why a delivery was released; carried in the headers of each delivery.

    `consent` is the id of the consent that it rests on, where it rests on one: a consent is given
    to one recipient, so that no other has the same id.
    """

    purpose: str
    basis: str
    agreement: AgreementRef
    record_id: RecordId
    consent: str | None = None
    former: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The headers of one message. `time` is aware; `source` is `/agencies/<agency>`."""

    id: EventId
    source: str
    type: EventType
    time: datetime
    traceparent: str | None = None
    ground: Ground | None = None

    def headers(self) -> Headers:
        """The headers as Kafka carries them, in a fixed order."""
        pairs = [
            ("ce_specversion", "1.0"),
            ("ce_id", self.id),
            ("ce_source", self.source),
            ("ce_type", self.type),
            ("ce_time", self.time.astimezone(UTC).isoformat().replace("+00:00", "Z")),
            ("content-type", CONTENT_TYPE),
        ]
        if self.traceparent is not None:
            pairs.append(("traceparent", self.traceparent))
        if self.ground is not None:
            pairs += [
                ("ce_purpose", self.ground.purpose),
                ("ce_legalbasis", self.ground.basis),
                ("ce_agreement", str(self.ground.agreement)),
                ("ce_recordid", self.ground.record_id),
            ]
            if self.ground.consent is not None:
                pairs.append(("ce_consent", self.ground.consent))
            if self.ground.former:
                named = " ".join(f"{current}:{former}" for current, former in self.ground.former)
                pairs.append(("ce_former", named))
        return [(name, value.encode("ascii")) for name, value in pairs]


def parse_headers(headers: Iterable[Pair] | None) -> Envelope:
    """The envelope that the headers carry.

    Raises `InvalidEnvelope` when a header is missing, repeated, too long, or malformed. Headers we
    do not know are ignored and never passed on. An unreadable `traceparent` is dropped, as W3C
    Trace Context section 3.2 asks: a bad trace must not stop an event.
    """
    pairs = list(islice(headers or (), MAX_HEADERS + 1))
    if len(pairs) > MAX_HEADERS:
        raise InvalidEnvelope("too many headers", got=f"more than {MAX_HEADERS}")
    known = _known(pairs)
    for name in _REQUIRED:
        if name not in known:
            raise InvalidEnvelope("a header is missing", expected=name)
    if known["ce_specversion"] != "1.0" or known["content-type"] != CONTENT_TYPE:
        raise InvalidEnvelope(
            "not a CloudEvents 1.0 message in Avro",
            expected=f"ce_specversion 1.0 and content-type {CONTENT_TYPE}",
        )
    try:
        return Envelope(
            id=EventId(_shaped(_EVENT_ID, known, "ce_id")),
            source=_shaped(_SOURCE, known, "ce_source"),
            type=ids.event_type(known["ce_type"]),
            time=_time(known["ce_time"]),
            traceparent=_traceparent(pairs),
            ground=_ground(known),
        )
    except InvalidIdentifier as error:
        raise InvalidEnvelope("a header is malformed", expected=error.expected) from None


def _known(pairs: Iterable[Pair]) -> dict[str, str]:
    known: dict[str, str] = {}
    for name, raw in pairs:
        if not (name.startswith("ce_") or name == "content-type"):
            continue
        value = raw.encode() if isinstance(raw, str) else raw
        limit = MAX_FORMER_BYTES if name == "ce_former" else MAX_HEADER_BYTES
        if value is None or len(value) > limit or not value.isascii():
            raise InvalidEnvelope("a header is malformed", expected=f"at most {limit} ASCII bytes")
        text = value.decode("ascii")
        if name in known or not text.isprintable():
            raise InvalidEnvelope("a header is repeated or holds control characters")
        known[name] = text
    return known


def _traceparent(pairs: Iterable[Pair]) -> str | None:
    match [raw for name, raw in pairs if name == "traceparent"]:
        case [bytes(raw)]:
            text = raw.decode("ascii", "replace")
        case [str(text)]:
            pass
        case _:
            return None
    return text if _TRACEPARENT.fullmatch(text) else None


def _shaped(pattern: re.Pattern[str], known: dict[str, str], name: str) -> str:
    if not pattern.fullmatch(known[name]):
        raise InvalidEnvelope(f"{name} is malformed", expected=pattern.pattern)
    return known[name]


def _time(text: str) -> datetime:
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidEnvelope("ce_time is malformed", expected="an RFC 3339 time with its offset")


def _ground(known: dict[str, str]) -> Ground | None:
    names = ("ce_purpose", "ce_legalbasis", "ce_agreement", "ce_recordid")
    present = [name for name in names if name in known]
    if not present and not {"ce_consent", "ce_former"} & known.keys():
        return None
    if len(present) < len(names):
        raise InvalidEnvelope("a delivery's ground is incomplete", expected=", ".join(names))
    return Ground(
        purpose=ids.dotted_id(known["ce_purpose"], what="purpose"),
        basis=ids.dotted_id(known["ce_legalbasis"], what="legal basis"),
        agreement=AgreementRef.parse(known["ce_agreement"]),
        record_id=RecordId(ids.hex_id(known["ce_recordid"], what="record id")),
        consent=_shaped(_CONSENT, known, "ce_consent") if "ce_consent" in known else None,
        former=tuple(_former(known)),
    )


def _former(known: dict[str, str]) -> Iterator[tuple[str, str]]:
    if "ce_former" not in known:
        return
    for pair in _shaped(_FORMER, known, "ce_former").split(" "):
        current, _, former = pair.partition(":")
        yield current, former
