"""Agreements: one mapping is read whole or refused with its source and what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from operator import methodcaller
from typing import Any

import pytest
from civicbus_schemas.agreement import AgeUnder, FieldGrant, local_day
from civicbus_schemas.agreement_document import parse_agreement
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.form import PAIRWISE_PSEUDONYM
from civicbus_schemas.vocabulary import ConsentRule, Reason

from tests.unit import schemas_samples as samples
from tests.unit.schemas_samples import BIRTH, PERSON, Document

Spoil = Callable[[Document], Any]
HANOI = timezone(timedelta(hours=7))


def release(document: Document) -> Document:
    """What is released of a birth."""
    body: Document = document["releases"][BIRTH]
    return body


def reads(body: Any) -> Spoil:
    """Give the agreement a reading of the view."""
    return lambda document: document.update(reads={PERSON: body})


def test_an_agreement_is_read_whole_when_it_is_right() -> None:
    parsed = parse_agreement(samples.agreement(), source="a.yaml")
    assert str(parsed.ref) == "vss.child-insurance@3"
    assert (parsed.provider, parsed.recipient) == ("moj", "vss")
    assert (parsed.purpose, parsed.basis) == ("insurance.enrol", "law.state")
    assert parsed.consent is ConsentRule.NOT_REQUIRED
    assert parsed.releases[BIRTH].fields == (
        FieldGrant(path="child.pin"),
        FieldGrant(path="parents[].pin", form=PAIRWISE_PSEUDONYM),
    )
    assert parsed.releases[BIRTH].paths == ("child.pin", "parents[].pin")
    assert parsed.releases[BIRTH].only_if == (AgeUnder(path="child.date_of_birth", years=6),)
    assert (parsed.valid_from, parsed.valid_until) == (date(2026, 1, 1), date(2028, 12, 31))
    assert parsed.approved_by == (("moj", "provider"), ("mps", "data-protection"))
    assert (parsed.retention, dict(parsed.reads)) == ("P2Y", {})


def test_readings_are_read_when_an_agreement_has_them() -> None:
    parsed = parse_agreement(samples.consented(), source="b.yaml")
    assert parsed.consent is ConsentRule.REQUIRED
    assert not parsed.reads[PERSON].read
    assert parsed.reads[PERSON].verify == {"full_name"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["valid"].update({"from": date(2026, 1, 1)}),
        lambda d: d.update(limits={}),
        lambda d: d.update(limits={"per_second": 200}),
        lambda d: d.update(limits={"per_second": 200, "subjects_per_day": 5_000}),
        lambda d: d.update(note="As the decree says."),
        lambda d: release(d).pop("only_if"),
        lambda d: release(d)["fields"].append({"child.full_name": "as-is"}),
        lambda d: d["valid"].update({"from": "2028-12-31"}),
        reads({"read": ["full_name"]}),
    ],
)
def test_an_agreement_is_accepted_when_it_is_written_otherwise(spoil: Spoil) -> None:
    document = samples.agreement()
    spoil(document)
    parse_agreement(document, source="a.yaml")


SPOILT: dict[str, Spoil] = {
    "unknown key": lambda d: d.update(priority=1),
    "key that is no text": lambda d: d.update({True: 1}),
    "unknown key of a release": lambda d: release(d).update(unless=[]),
    "unknown key of valid": lambda d: d["valid"].update(zone="UTC"),
    "unknown key of a reading": reads({"read": ["full_name"], "write": []}),
    "unknown key of an approval": lambda d: d["approved_by"][0].update(name="Lan"),
    "unknown form": lambda d: release(d)["fields"].append({"child.full_name": "masked"}),
    "form that is no text": lambda d: release(d)["fields"].append({"child.full_name": ["as-is"]}),
    "two forms": lambda d: release(d)["fields"].append({"a": "as-is", "b": "as-is"}),
    "field that is no path": lambda d: release(d)["fields"].append(5),
    "field named twice": lambda d: release(d)["fields"].append("child.pin"),
    "no fields": lambda d: release(d).update(fields=[]),
    "fields missing": lambda d: release(d).pop("fields"),
    "fields that are no list": lambda d: release(d).update(fields="child.pin"),
    "unknown condition": lambda d: release(d).update(only_if=[{"child.sex": {"is": "male"}}]),
    "condition without a test": lambda d: release(d).update(only_if=["child.date_of_birth"]),
    "condition of two tests": lambda d: release(d).update(
        only_if=[{"child.date_of_birth": {"age-under-years": 6, "age-over-years": 1}}]
    ),
    "condition with a fraction": lambda d: release(d).update(
        only_if=[{"child.date_of_birth": {"age-under-years": 6.5}}]
    ),
    "condition that always fails": lambda d: release(d).update(
        only_if=[{"child.date_of_birth": {"age-under-years": 0}}]
    ),
    "conditions that are null": lambda d: release(d).update(only_if=None),
    "event type that is none": lambda d: d.update(releases={"Birth": release(d)}),
    "release that is a list": lambda d: d.update(releases={BIRTH: ["child.pin"]}),
    "releases that are null": lambda d: d.update(releases=None),
    "nothing released": lambda d: d.update(releases={}),
    "reading of nothing": reads({}),
    "reading of nothing at all": reads({"read": [], "verify": []}),
    "reading named twice": reads({"read": ["full_name", "full_name"]}),
    "reading with a form": reads({"read": [{"pin": "pairwise-pseudonym"}]}),
    "reading that is a text": reads("full_name"),
    "limits that are null": lambda d: d.update(limits=None),
    "unknown limit": lambda d: d.update(limits={"per_week": 200}),
    "limit of nothing": lambda d: d.update(limits={"per_second": 0}),
    "limit of nobody": lambda d: d.update(limits={"subjects_per_day": 0}),
    "limit of null": lambda d: d.update(limits={"subjects_per_day": None}),
    "limits of zero": lambda d: d.update(limits=0),
    "limits of false": lambda d: d.update(limits=False),
    "version zero": lambda d: d.update(version=0),
    "version true": lambda d: d.update(version=True),
    "version as text": lambda d: d.update(version="3"),
    "consent unknown": lambda d: d.update(consent="optional"),
    "consent as YAML's false": lambda d: d.update(consent=False),
    "purpose malformed": lambda d: d.update(purpose="Enrol a child"),
    "basis malformed": lambda d: d.update(basis="law"),
    "provider malformed": lambda d: d.update(provider="Ministry"),
    "recipient null": lambda d: d.update(recipient=None),
    "ends before it begins": lambda d: d["valid"].update({"from": "2029-01-01"}),
    "no end": lambda d: d["valid"].pop("until"),
    "valid that is a text": lambda d: d.update(valid="2026"),
    "a time for a day": lambda d: d["valid"].update({"from": datetime(2026, 1, 1, tzinfo=UTC)}),
    "a day without dashes": lambda d: d["valid"].update({"from": "20260101"}),
    "a day as a week": lambda d: d["valid"].update({"from": "2026-W01-1"}),
    "a day that is none": lambda d: d["valid"].update({"until": "2028-02-30"}),
    "a day as a number": lambda d: d["valid"].update({"from": 2026}),
    "retention in words": lambda d: d.update(retention="two years"),
    "retention of nothing": lambda d: d.update(retention="P0Y"),
    "no approval": lambda d: d.update(approved_by=[]),
    "one approval": lambda d: d["approved_by"].pop(),
    "one role twice": lambda d: d["approved_by"][1].update(role="provider"),
    "approval without a role": lambda d: d["approved_by"][0].pop("role"),
    "approval with an empty role": lambda d: d["approved_by"][0].update(role=""),
    **{
        f"without {key}": methodcaller("pop", key)
        for key in samples.agreement()
        if key != "releases"
    },
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_an_agreement_is_refused_by_its_source_when_one_thing_is_wrong(spoil: Spoil) -> None:
    document = samples.agreement()
    spoil(document)
    with pytest.raises(InvalidAgreement) as caught:
        parse_agreement(document, source="a.yaml")
    assert str(caught.value).startswith("a.yaml")


@pytest.mark.parametrize("document", [None, [], "agreement", 5])
def test_an_agreement_is_refused_when_it_is_no_mapping(document: Any) -> None:
    with pytest.raises(InvalidAgreement, match="a mapping"):
        parse_agreement(document, source="a.yaml")


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (datetime(2025, 12, 31, 23, 59, 59, tzinfo=HANOI), Reason.NOT_YET_IN_FORCE),
        (datetime(2026, 1, 1, tzinfo=HANOI), None),
        (datetime(2025, 12, 31, 17, 0, tzinfo=UTC), None),
        (datetime(2028, 12, 31, 23, 59, 59, tzinfo=HANOI), None),
        (datetime(2028, 12, 31, 17, 0, tzinfo=UTC), Reason.EXPIRED),
    ],
)
def test_days_are_the_nations_when_validity_is_judged(at: datetime, reason: Reason | None) -> None:
    assert parse_agreement(samples.agreement(), source="a.yaml").lapse(at) is reason


def test_a_day_is_the_nations_when_utc_is_still_on_the_day_before() -> None:
    assert local_day(datetime(2026, 1, 1, 18, tzinfo=UTC)) == date(2026, 1, 2)
