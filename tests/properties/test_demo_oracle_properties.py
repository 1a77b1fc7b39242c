"""Oracle and product agree on every byte, over the whole nation; neither knows the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from civicbus_consumers.access.decide import holds
from civicbus_consumers.access.plan import PlannedRelease, PlannedType, compile_plan
from civicbus_consumers.access.project import open_event, project
from civicbus_deploy.demo.oracle import Oracle
from civicbus_deploy.provisioning.nation import packaged_nation
from civicbus_deploy.simulation import generate
from civicbus_schemas.agreement import NATION_ZONE
from civicbus_schemas.codec import AvroType
from civicbus_schemas.contract import values_at
from civicbus_schemas.decision import Facts
from fastavro.schema import to_parsing_canonical_form
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.schemas_strategies import data_of
from tests.unit import lookup_samples as samples

KEY = b"p" * 32
POLICY = samples.policy()
PLAN = compile_plan(POLICY, pairwise_key_of=lambda _: KEY)
ORACLE = Oracle(packaged_nation(), pairwise_key_of=lambda _: KEY)
RELEASES = [
    pytest.param(planned, release, id=f"{release.agreement.ref} {event_type}")
    for (_, event_type), planned in PLAN.types.items()
    for release in planned.releases
]
DAYS = st.dates(date(2023, 1, 1), date(2036, 1, 1))


def expected(
    planned: PlannedType, release: PlannedRelease, body: bytes, on: date, **changes: Any
) -> bytes:
    return ORACLE.expected(
        agreement=str(release.agreement.ref),
        event_type=planned.contract.event_type,
        source_body=body,
        writer_schema=json.dumps(changes.get("writer_schema", planned.contract.document)),
        on=on,
    )


def allowed(
    planned: PlannedType, release: PlannedRelease, datum: Mapping[str, Any], on: date
) -> bool:
    """What the product says, consent aside, at noon of that day."""
    at = datetime(on.year, on.month, on.day, 12, tzinfo=NATION_ZONE)
    facts = Facts(
        provider=release.agreement.provider,
        event_type=planned.contract.event_type,
        contract=planned.contract.fingerprint,
        values={path: tuple(values_at(datum, path)) for path in planned.decision_paths},
    )
    return release.agreement.lapse(at) is None and all(
        holds(condition, facts, at) for condition in release.release.only_if
    )


@pytest.mark.parametrize(("planned", "release"), RELEASES)
@settings(max_examples=10)
@given(data=st.data(), on=DAYS)
def test_oracle_and_product_agree_when_any_event_meets_any_agreement(
    planned: PlannedType, release: PlannedRelease, data: st.DataObject, on: date
) -> None:
    avro = planned.contract.avro
    body = avro.encode(data.draw(data_of(planned.contract.document)))
    datum = open_event(body, planned.contract, avro)
    assert project(datum, release.cut, on=on) == expected(planned, release, body, on)
    assert allowed(planned, release, datum, on) == ORACLE.may_be_released(
        agreement=str(release.agreement.ref),
        event_type=planned.contract.event_type,
        source_body=body,
        on=on,
    )


@pytest.mark.parametrize(("planned", "release"), RELEASES)
def test_the_delivered_schema_is_the_oracles_when_it_is_derived(
    planned: PlannedType, release: PlannedRelease
) -> None:
    document = ORACLE.delivered_schema(
        agreement=str(release.agreement.ref), event_type=planned.contract.event_type
    )
    ours = release.cut.delivered.document
    assert to_parsing_canonical_form(document) == to_parsing_canonical_form(dict(ours))


def test_every_release_of_a_simulated_population_is_the_oracles_when_it_is_cut() -> None:
    compared, refused = set(), set()
    first = date(2026, 3, 2)
    for number, (agency, event, _) in enumerate(generate(40, 1200, 11, policy=POLICY)):
        planned = PLAN.types[agency, event.event_type]
        body = planned.contract.avro.encode(event.to_datum())
        datum, on = open_event(body, planned.contract, planned.contract.avro), first
        on += timedelta(days=number % 180)
        for release in planned.releases:
            where = str(release.agreement.ref), event.event_type
            assert project(datum, release.cut, on=on) == expected(planned, release, body, on), where
            answer = ORACLE.may_be_released(
                agreement=where[0], event_type=where[1], source_body=body, on=on
            )
            assert answer == allowed(planned, release, datum, on), where
            compared.add(where)
            if not answer:
                refused.add(where[0])
    assert len(compared) == len(RELEASES), "some release was never compared"
    assert refused >= {"moh.birth-statistics@1", "vss.child-residence@1"}


@pytest.mark.parametrize(("planned", "release"), RELEASES)
@settings(max_examples=3)
@given(data=st.data(), on=DAYS)
def test_oracle_and_product_agree_when_an_older_or_newer_schema_wrote_the_event(
    planned: PlannedType, release: PlannedRelease, data: st.DataObject, on: date
) -> None:
    document = dict(planned.contract.document)
    kept = [entry for entry in document["fields"] if "default" not in entry]
    document["fields"] = [*kept, {"name": "later", "type": "string", "default": ""}]
    writer = AvroType(document)
    body = writer.encode(data.draw(data_of(document)))
    datum = open_event(body, planned.contract, writer)
    assert project(datum, release.cut, on=on) == expected(
        planned, release, body, on, writer_schema=document
    )
