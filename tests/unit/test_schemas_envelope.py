"""Headers: round trip, and everything that may be wrong with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from civicbus_schemas.envelope import (
    MAX_FORMER,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    Envelope,
    Ground,
    Headers,
    parse_headers,
)
from civicbus_schemas.errors import InvalidEnvelope
from civicbus_schemas.ids import AgreementRef, EventId, EventType, RecordId

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
GROUND = Ground(
    purpose="insurance.enrol",
    basis="law.state",
    agreement=AgreementRef("vss.child-insurance", 3),
    record_id=RecordId("0f" * 16),
)


def envelope(*, ground: Ground | None = GROUND, traceparent: str | None = TRACE) -> Envelope:
    """An envelope in which everything is there."""
    return Envelope(
        id=EventId("0190b3a0-0000-7000-8000-000000000000"),
        source="/agencies/moj",
        type=EventType("civil-status.BirthRegistered"),
        time=datetime(2026, 11, 21, 8, 30, tzinfo=UTC),
        traceparent=traceparent,
        ground=ground,
    )


def headers(**changes: str | bytes | None) -> list[tuple[str, bytes | str | None]]:
    """The headers with some replaced (`ce_id` for `ce_id`, `content_type` for `content-type`)."""
    renamed = {name.replace("content_type", "content-type"): v for name, v in changes.items()}
    kept = [(name, value) for name, value in envelope().headers() if name not in renamed]
    return [*kept, *renamed.items()]


def without(name: str) -> Headers:
    """The headers without one."""
    return [pair for pair in envelope().headers() if pair[0] != name]


@pytest.mark.parametrize("ground", [GROUND, None])
@pytest.mark.parametrize("traceparent", [TRACE, None])
def test_an_envelope_is_the_same_when_it_is_written_and_read(
    ground: Ground | None, traceparent: str | None
) -> None:
    written = envelope(ground=ground, traceparent=traceparent)
    assert parse_headers(written.headers()) == written


def test_headers_are_as_cloudevents_wants_when_they_are_written() -> None:
    assert envelope().headers() == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"0190b3a0-0000-7000-8000-000000000000"),
        ("ce_source", b"/agencies/moj"),
        ("ce_type", b"civil-status.BirthRegistered"),
        ("ce_time", b"2026-11-21T08:30:00Z"),
        ("content-type", b"application/avro"),
        ("traceparent", TRACE.encode()),
        ("ce_purpose", b"insurance.enrol"),
        ("ce_legalbasis", b"law.state"),
        ("ce_agreement", b"vss.child-insurance@3"),
        ("ce_recordid", b"0f" * 16),
    ]


@pytest.mark.parametrize(
    "name", ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"]
)
def test_headers_are_refused_by_name_when_one_is_missing(name: str) -> None:
    with pytest.raises(InvalidEnvelope, match=name):
        parse_headers(without(name))


@pytest.mark.parametrize("given", [None, []])
def test_headers_are_refused_when_there_are_none(given: Headers | None) -> None:
    with pytest.raises(InvalidEnvelope):
        parse_headers(given)


def test_consent_is_told_when_the_delivery_rests_on_one() -> None:
    written = envelope(ground=replace(GROUND, consent="5c1e5f0e-0000-4000-8000-000000000001"))
    assert written.headers()[-1] == ("ce_consent", b"5c1e5f0e-0000-4000-8000-000000000001")
    assert parse_headers(written.headers()) == written


def test_former_pseudonyms_are_told_when_the_recipients_are_being_replaced() -> None:
    pairs = (("ab" * 16, "cd" * 16), ("01" * 16, "23" * 16))
    written = envelope(ground=replace(GROUND, former=pairs))
    named = " ".join(f"{current}:{former}" for current, former in pairs).encode()
    assert written.headers()[-1] == ("ce_former", named)
    assert parse_headers(written.headers()) == written
    most = envelope(ground=replace(GROUND, former=pairs[:1] * MAX_FORMER))
    assert parse_headers(most.headers()) == most


@pytest.mark.parametrize(
    "named", [b"", b"ab", b"ab" * 16, b"x" * 65, b"ab" * 16 + b":" + b"CD" * 16, b"a" * 70_000]
)
def test_former_pseudonyms_are_refused_when_they_are_none(named: bytes) -> None:
    with pytest.raises(InvalidEnvelope):
        parse_headers([*envelope().headers(), ("ce_former", named)])


def test_former_pseudonyms_are_refused_when_there_is_no_ground() -> None:
    alone = [*envelope(ground=None).headers(), ("ce_former", b"ab" * 16 + b":" + b"cd" * 16)]
    with pytest.raises(InvalidEnvelope, match="incomplete"):
        parse_headers(alone)


def test_a_consent_is_refused_when_there_is_no_ground() -> None:
    alone = [*envelope(ground=None).headers(), ("ce_consent", b"c-1")]
    with pytest.raises(InvalidEnvelope, match="incomplete"):
        parse_headers(alone)


@pytest.mark.parametrize("name", ["ce_purpose", "ce_legalbasis", "ce_agreement", "ce_recordid"])
def test_a_ground_is_refused_when_it_is_incomplete(name: str) -> None:
    with pytest.raises(InvalidEnvelope, match="incomplete"):
        parse_headers(without(name))


@pytest.mark.parametrize(
    "change",
    [
        {"ce_specversion": "0.3"},
        {"content_type": "application/json"},
        {"ce_id": ""},
        {"ce_id": "a" * 65},
        {"ce_id": "1; DROP TABLE leaf"},
        {"ce_id": "x\r\nce_type: y"},
        {"ce_source": "agencies/moj"},
        {"ce_source": "/Agencies"},
        {"ce_type": "BirthRegistered"},
        {"ce_time": "2026-11-21T08:30:00"},
        {"ce_time": "yesterday"},
        {"ce_time": "20261121T083000Z"},
        {"ce_time": "2026-W47-6T08:30:00Z"},
        {"ce_time": "2026-11-21"},
        {"ce_time": "2026-13-21T08:30:00Z"},
        {"ce_time": "0001-01-01T00:00:00+14:00"},
        {"ce_time": "9999-12-31T23:59:59-14:00"},
        {"ce_time": "2026-11-21T08:30:00+99:99"},
        {"ce_purpose": "Insurance"},
        {"ce_agreement": "vss.child-insurance"},
        {"ce_recordid": "0F" * 16},
        {"ce_consent": "c 1"},
        {"ce_id": None},
        {"ce_id": "é".encode()},
        {"ce_other": b"\xff"},
        {"ce_other": b"x" * (MAX_HEADER_BYTES + 1)},
    ],
)
def test_headers_are_refused_when_one_is_malformed(change: dict[str, str | bytes | None]) -> None:
    with pytest.raises(InvalidEnvelope):
        parse_headers(headers(**change))


def test_headers_are_refused_when_one_is_repeated() -> None:
    with pytest.raises(InvalidEnvelope, match="repeated"):
        parse_headers([*envelope().headers(), ("ce_id", b"another")])


def test_headers_are_refused_when_there_are_too_many() -> None:
    spare = MAX_HEADERS - len(envelope().headers())
    parse_headers([*envelope().headers(), *[("x", b"")] * spare])
    with pytest.raises(InvalidEnvelope, match="too many"):
        parse_headers([*envelope().headers(), *[("x", b"")] * (spare + 1)])


def test_headers_are_never_exhausted_when_they_do_not_end() -> None:
    def endless() -> object:
        while True:
            yield "x", b""

    with pytest.raises(InvalidEnvelope, match="too many"):
        parse_headers(endless())  # type: ignore[arg-type]


def test_an_unknown_header_is_left_behind_when_it_is_there() -> None:
    assert parse_headers([*envelope().headers(), ("x-name", "Nguyễn".encode())]) == envelope()


@pytest.mark.parametrize(
    "trace",
    [
        "", "00", TRACE.upper(), TRACE[:-1], TRACE + "-x", "ff" + TRACE[2:],
        b"\xff\xfe", b"x" * 5000, "a\r\nb", None,
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
    ],
)  # fmt: skip
def test_an_event_goes_on_without_its_trace_when_the_trace_is_unreadable(
    trace: str | bytes | None,
) -> None:
    assert parse_headers(headers(traceparent=trace)) == envelope(traceparent=None)


def test_an_event_goes_on_without_its_trace_when_there_are_two() -> None:
    repeated = [*envelope().headers(), ("traceparent", TRACE.encode())]
    assert parse_headers(repeated) == envelope(traceparent=None)


def test_a_time_is_utc_when_it_is_read() -> None:
    read = parse_headers(headers(ce_time="2026-11-21T15:30:00.000001+07:00"))
    assert read.time == datetime(2026, 11, 21, 8, 30, 0, 1, tzinfo=UTC)
    assert read.time.utcoffset() == timedelta(0)
    assert dict(read.headers())["ce_time"] == b"2026-11-21T08:30:00.000001Z"


def test_a_time_is_utc_when_it_is_written() -> None:
    hanoi = timezone(timedelta(hours=7))
    written = Envelope(
        id=EventId("e"),
        source="/agencies/moj",
        type=EventType("a.B"),
        time=datetime(2026, 1, 1, 7, tzinfo=hanoi),
    )
    assert dict(written.headers())["ce_time"] == b"2026-01-01T00:00:00Z"
