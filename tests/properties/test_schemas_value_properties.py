"""Values of the language: what was written comes back, and no error shows a person's data."""

from __future__ import annotations

import string
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from civicbus_schemas import ids
from civicbus_schemas.agreement import FieldGrant, Release
from civicbus_schemas.codec import AvroType
from civicbus_schemas.consent import SUBJECT_CONSENTS, Consent, SubjectConsents, Uses
from civicbus_schemas.delivered import derive_delivered
from civicbus_schemas.envelope import Envelope, parse_headers
from civicbus_schemas.errors import BusError
from civicbus_schemas.ids import AgencyId, AgreementRef, EventId, EventType, Pin
from civicbus_schemas.nation import load_contracts
from civicbus_schemas.page import PageHeader, Position
from civicbus_schemas.record import RECORD, Record
from civicbus_schemas.vocabulary import ConsentStatus, Outcome, Reason, RecordKind, UsePeriod
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.schemas_strategies import MOMENTS, TEXT, paths_of
from tests.unit import schemas_samples as samples

CONTRACTS = [contract for contract in load_contracts().values() if not contract.is_view]
HEX = st.binary(min_size=16, max_size=16).map(bytes.hex)
HASH = st.binary(min_size=32, max_size=32).map(bytes.hex)
OFFSETS = st.integers(0, 2**63 - 1)

# What a person might be known by, long enough not to stand in an error by chance.
PERSONAL = st.one_of(
    st.text(string.digits, min_size=9, max_size=13),
    st.text("ăâêôơưđÀẾỊỌỮ", min_size=6, max_size=12),
    st.emails().filter(lambda text: len(text) > 9),
)

CONSENTS = st.builds(
    Consent,
    id=TEXT,
    version=st.integers(1, 2**40),
    recipient=TEXT.map(AgencyId),
    purpose=TEXT,
    fields=st.frozensets(TEXT, max_size=4),
    status=st.sampled_from(ConsentStatus),
    since=MOMENTS,
    valid_until=st.none() | MOMENTS,
    uses=st.none()
    | st.builds(Uses, count=st.integers(1, 2**40), per=st.none() | st.sampled_from(UsePeriod)),
    erase_at=st.none() | MOMENTS,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(CONSENTS, max_size=4))
def test_consents_come_back_the_same_when_they_were_written(consents: list[Consent]) -> None:
    state = SubjectConsents(tuple(consents))
    assert SubjectConsents.decode(state.encode()) == state


@settings(max_examples=50, deadline=None)
@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            "id": HEX,
            "nonce": st.binary(min_size=16, max_size=16),
            "kind": st.sampled_from(RecordKind),
            "decision": st.sampled_from(Outcome),
            "reason": st.none() | st.sampled_from(Reason),
            "at": MOMENTS,
            "subject": st.none() | HEX,
            "fields": st.lists(TEXT, max_size=4).map(tuple),
            "obligations": st.lists(TEXT, max_size=2).map(tuple),
            "purpose": st.none() | TEXT,
            "consent": st.none() | TEXT,
            "policy": st.none() | HASH,
            "payload_hash": st.none() | HASH,
            "sealed": st.none() | HASH,
            "rows": OFFSETS,
            "size_bytes": OFFSETS,
        },
    )
)
def test_a_record_comes_back_the_same_when_it_was_written(changes: dict[str, Any]) -> None:
    record = samples.record(**changes)
    leaf = record.encode()
    assert Record.decode(leaf) == record
    assert Record.decode(leaf).encode() == leaf


@settings(max_examples=40, deadline=None)
@given(
    sequence=OFFSETS,
    at=MOMENTS,
    root=HASH,
    previous=st.none() | HASH,
    positions=st.lists(st.builds(Position, topic=TEXT, partition=OFFSETS, offset=OFFSETS)),
)
def test_a_header_comes_back_the_same_when_it_was_written(
    positions: list[Position], **changes: Any
) -> None:
    header = samples.header(**changes, positions=tuple(positions))
    assert PageHeader.decode(header.encode()) == header


@settings(max_examples=40, deadline=None)
@given(
    id_=st.from_regex(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}", fullmatch=True),
    time=MOMENTS,
    hours=st.integers(-14, 14),
)
def test_an_envelope_comes_back_the_same_when_it_was_written(
    id_: str, time: Any, hours: int
) -> None:
    envelope = Envelope(
        id=EventId(id_),
        source="/agencies/moj",
        type=EventType("civil-status.Birth"),
        time=time + timedelta(hours=hours),
    )
    assert parse_headers(envelope.headers()) == envelope


@given(
    st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z0-9][a-z0-9-]{0,8}){1,3}", fullmatch=True),
    st.integers(1, 999_999),
)
def test_an_agreement_reference_comes_back_the_same_when_it_was_written(
    id_: str, version: int
) -> None:
    ref = AgreementRef(id_, version)
    assert AgreementRef.parse(str(ref)) == ref


def levels(schema: Any) -> Iterator[Any]:
    """Every record of a schema, the outermost first."""
    match schema:
        case list():
            for branch in schema:
                yield from levels(branch)
        case {"type": "array", "items": items}:
            yield from levels(items)
        case {"type": "record", "fields": entries}:
            yield schema
            for entry in entries:
                yield from levels(entry["type"])


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_every_field_is_kept_or_named_when_a_type_is_derived(data: st.DataObject) -> None:
    contract = data.draw(st.sampled_from(CONTRACTS))
    paths = data.draw(paths_of(contract.fields))
    release = Release(fields=tuple(FieldGrant(path=path) for path in paths))
    schema = derive_delivered(contract, release, agreement=AgreementRef("x.y", 1))
    AvroType(schema)
    original = {level["name"]: level for level in levels(contract.document)}
    kept = 0
    for level in levels(schema):
        names = [entry["name"] for entry in level["fields"]]
        assert names
        whole = [entry["name"] for entry in original[level["name"]]["fields"]]
        assert [name for name in whole if name in names] == names
        assert [name for name in whole if name not in names] == level["not_released"]
        kept += sum("owner" in entry for entry in level["fields"])
    assert kept == len(paths)


def shown(error: BaseException) -> str:
    """Everything of an error that a log could hold."""
    parts = [str(error), repr(error), *traceback.format_exception(error)]
    return "\n".join([*parts, repr(vars(error))])


def refusals(value: str) -> Iterator[Callable[[], object]]:
    """Ways to hand a person's value to the language where it does not belong."""
    yield lambda: Pin(value + "x")
    yield lambda: ids.agency_id(value)
    yield lambda: ids.event_type(value)
    yield lambda: ids.family_id(value)
    yield lambda: ids.dotted_id(value, what="purpose")
    yield lambda: ids.hex_id(value, what="record id")
    yield lambda: AgreementRef.parse(f"{value}@1")
    yield lambda: AgreementRef.parse(f"a.b@{value}x")
    avro, datum = samples.birth_contract().avro, samples.birth_datum()
    yield lambda: avro.encode(datum | {"registered_at": value})
    yield lambda: avro.encode(datum | {"child": value})
    yield lambda: avro.encode(datum | {"remarks": [value, 5]})
    yield lambda: avro.encode(datum | {"child": datum["child"] | {value: value}})
    yield lambda: avro.encode({value: value})
    body = avro.encode(datum | {"remarks": [value]})
    yield lambda: avro.decode(body[: body.index(value.encode()) + len(value.encode()) // 2])
    yield lambda: avro.decode(body + value.encode())
    yield lambda: RECORD.decode_single_object(value.encode())
    leaf = RECORD.decode_single_object(samples.record().encode())
    for name in ("kind", "decision", "reason", "agreement"):
        changed = RECORD.encode_single_object(leaf | {name: value})
        yield lambda changed=changed: Record.decode(changed)  # type: ignore[misc]
    state = SUBJECT_CONSENTS.encode(
        {
            "consents": [
                {"id": value, "version": 1, "recipient": value, "purpose": value,
                 "fields": [value], "status": value, "since": 0, "valid_until": None,
                 "uses": {"count": 1, "per": value}, "erase_at": None}
            ]
        }
    )  # fmt: skip
    yield lambda: SubjectConsents.decode(state)
    yield lambda: SubjectConsents.decode(state[:-1])
    headers = Envelope(
        id=EventId("e"), source="/agencies/moj", type=EventType("a.B"), time=samples.AT
    ).headers()
    for name in ("ce_specversion", "ce_source", "ce_type", "ce_time", "content-type"):
        rest = [pair for pair in headers if pair[0] != name]
        spoilt = [*rest, (name, f"{value}!".encode())]
        yield lambda spoilt=spoilt: parse_headers(spoilt)  # type: ignore[misc]
    yield lambda: parse_headers([*headers, ("ce_id", value.encode())])
    yield lambda: parse_headers([*headers, ("ce_purpose", value.encode())])


@settings(max_examples=20, deadline=None)
@given(PERSONAL)
def test_no_error_shows_a_value_when_a_person_stands_where_none_should(value: str) -> None:
    errors = []
    for attempt in refusals(value):
        try:
            attempt()
        except BusError as error:
            errors.append(error)
    assert len(errors) >= 20
    assert not [error for error in errors if value in shown(error)]


@settings(max_examples=40, deadline=None)
@given(st.lists(CONSENTS, min_size=1, max_size=3), st.frozensets(TEXT, max_size=3), MOMENTS)
def test_a_consent_never_covers_more_when_it_is_withdrawn_or_narrowed(
    consents: list[Consent], needed: frozenset[str], at: Any
) -> None:
    for consent in consents:
        narrowed = replace(consent, fields=frozenset())
        withdrawn = replace(consent, status=ConsentStatus.WITHDRAWN)
        assert withdrawn.lapse(needed, at) is Reason.CONSENT_WITHDRAWN
        if consent.lapse(needed, at) is not None:
            assert narrowed.lapse(needed, at) is not None
