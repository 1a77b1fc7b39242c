"""Forms of release: how they are written, which fields they fit, what type they leave."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from civicbus_consumers.access.answers import asking
from civicbus_schemas.agreement import MAX_FIELDS, FieldGrant, Release
from civicbus_schemas.agreement_document import parse_agreement
from civicbus_schemas.delivered import derive_delivered
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.event import delivered_class
from civicbus_schemas.form import (
    AgeAtLeast,
    AgeBand,
    AgeBelow,
    AtLeast,
    Equal,
    Exists,
    Form,
    Under,
    parse_form,
)
from civicbus_schemas.ids import AgreementRef

from tests import forms
from tests.unit import schemas_samples as samples
from tests.unit.schemas_samples import BIRTH

REF = AgreementRef("vss.everything", 1)
NOON = datetime(2026, 6, 1, 5, tzinfo=UTC)


def delivered(path: str, written: Any) -> Any:
    """The entry of a field that is released in a form."""
    grant = FieldGrant(path=path, form=parse_form(written, where="a.yaml"))
    schema = derive_delivered(forms.contract(), Release(fields=(grant,)), agreement=REF)
    [outer] = schema["fields"]
    inner = outer["type"]
    if isinstance(inner, list):
        inner = inner[1]
    [entry] = inner.get("items", inner)["fields"]
    return entry


@pytest.mark.parametrize(
    ("written", "form", "told"),
    [
        ("exists", Exists(), "exists"),
        ({"equal": "VN"}, Equal("VN"), "equal VN"),
        ({"equal": True}, Equal(True), "equal True"),
        ({"at-least": 1000}, AtLeast(1000), "at-least 1000"),
        ({"under": date(2026, 1, 1)}, Under("2026-01-01"), "under 2026-01-01"),
        ({"under": NOON}, Under("2026-06-01T05:00:00+00:00"), "under 2026-06-01T05:00:00+00:00"),
        ({"age-at-least": 18}, AgeAtLeast(18), "age-at-least 18"),
        ({"age-under": 6}, AgeBelow(6), "age-under 6"),
        ({"age-band": [6, 15, 18]}, AgeBand((6, 15, 18)), "age-band 6, 15, 18"),
    ],
)
def test_a_form_is_read_and_told_when_it_is_written(written: Any, form: Form, told: str) -> None:
    assert parse_form(written, where="a.yaml") == form
    assert str(form) == told


@pytest.mark.parametrize(
    "written",
    [
        "masked", "equal", "", None, 5, [], {}, ["exists"], {"exists": True}, {1: 2},
        {"equal": 1, "under": 2}, {"equal": None}, {"equal": 1.5}, {"equal": [1]},
        {"at-least": 1e3}, {"under": float("nan")}, {"equal": 2**53},
        {"age-under": 0}, {"age-under": -1}, {"age-under": True}, {"age-under": 6.5},
        {"age-at-least": 151}, {"age-at-least": "18"},
        {"age-band": []}, {"age-band": 6}, {"age-band": [6, 6]}, {"age-band": [18, 6]},
        {"age-band": [0, 6]}, {"age-band": [6, "15"]}, {"age-band": list(range(1, 40))},
        {"age-band": {"under": 6}},
    ],
)  # fmt: skip
def test_a_form_is_refused_by_its_source_when_it_is_not_known(written: Any) -> None:
    with pytest.raises(InvalidAgreement) as caught:
        parse_form(written, where="a.yaml")
    assert str(caught.value).startswith("a.yaml")


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("maybe.word", {"at-least": 1}), ("maybe.word", {"under": "m"}),
        ("maybe.word", {"equal": False}), ("maybe.word", {"equal": 5}),
        ("maybe.flag", {"equal": 1}), ("maybe.flag", {"under": True}),
        ("maybe.count", {"equal": True}), ("maybe.count", {"equal": "1"}),
        ("maybe.count", {"at-least": 1 << 31}), ("maybe.count", {"age-under": 6}),
        ("maybe.share", {"equal": 1}), ("maybe.ratio", {"equal": 1}),
        ("maybe.blob", {"equal": "x"}), ("maybe.words", {"equal": "x"}),
        ("maybe.words", {"at-least": 1}), ("maybe.colour", {"equal": "green"}),
        ("maybe.colour", {"under": "red"}), ("maybe.day", {"equal": "20260101"}),
        ("maybe.day", {"under": "2026-02-30"}), ("maybe.day", {"at-least": 2026}),
        ("maybe.day", {"under": "2026-01-01T00:00:00Z"}),
        ("maybe.moment", {"under": "2026-01-01T00:00:00"}),
        ("maybe.moment", {"at-least": "2026-01-01"}), ("maybe.moment", {"age-band": [6]}),
        ("many[].word", {"age-band": [6]}), ("person.pin", {"equal": "001324012345"}),
        ("maybe.nothing", {"equal": 1}), ("maybe", "exists"), ("many[]", "exists"),
    ],
)  # fmt: skip
def test_a_predicate_is_refused_with_its_agreement_when_the_field_cannot_answer_it(
    path: str, written: Any
) -> None:
    with pytest.raises(InvalidAgreement, match=r"vss\.everything@1"):
        delivered(path, written)


@pytest.mark.parametrize(
    ("path", "written", "type_"),
    [
        ("many[].word", {"equal": "VN"}, "boolean"),
        ("many[].no_word", {"equal": "VN"}, ["null", "boolean"]),
        ("maybe.cost", {"at-least": 1000}, "boolean"),
        ("maybe.no_day", {"under": "2026-01-01"}, ["null", "boolean"]),
        ("maybe.no_word", "exists", "boolean"),
        ("maybe.words", "exists", "boolean"),
        ("maybe.day", {"age-at-least": 18}, ["null", "boolean"]),
        ("maybe.no_day", {"age-under": 6}, ["null", "boolean"]),
        (
            "many[].day",
            {"age-band": [6, 15, 18]},
            [
                "null",
                {
                    "type": "enum",
                    "name": "day",
                    "namespace": "vn.everything.vss_everything_v1.many",
                    "symbols": ["under_6", "from_6_to_14", "from_15_to_17", "from_18"],
                },
            ],
        ),
    ],
)
def test_the_delivered_type_is_the_answers_when_a_field_is_released_as_a_predicate(
    path: str, written: Any, type_: Any
) -> None:
    entry = delivered(path, written)
    assert entry["type"] == type_
    assert entry["released_as"] == str(parse_form(written, where="a.yaml"))
    assert entry["subject"] == "person", "the labels of the field stay"


@pytest.mark.parametrize(
    ("form", "value", "on", "answer"),
    [
        (AgeBelow(6), date(2020, 6, 2), date(2026, 6, 1), True),
        (AgeBelow(6), date(2020, 6, 1), date(2026, 6, 1), False),
        (AgeAtLeast(18), date(2008, 2, 29), date(2026, 2, 28), False),
        (AgeAtLeast(18), date(2008, 2, 29), date(2026, 3, 1), True),
        (AgeBelow(6), date(2026, 6, 2), date(2026, 6, 1), None),
        (AgeBand((6, 15)), None, date(2026, 6, 1), None),
        (AgeBand((6, 15)), date(2011, 6, 2), date(2026, 6, 1), "from_6_to_14"),
        (AgeBand((6, 15)), date(2011, 6, 1), date(2026, 6, 1), "from_15"),
        (AtLeast(1000), 999, date(2026, 6, 1), False),
        (AtLeast(1000), 1000, date(2026, 6, 1), True),
        (Under(1000), None, date(2026, 6, 1), None),
        (Exists(), None, date(2026, 6, 1), False),
        (Exists(), [], date(2026, 6, 1), False),
        (Exists(), "", date(2026, 6, 1), True),
        (Exists(), 0, date(2026, 6, 1), True),
    ],
)
def test_a_predicate_answers_as_worked_out_by_hand(
    form: Any, value: Any, on: date, answer: Any
) -> None:
    assert asking(form)(value, on) is answer or asking(form)(value, on) == answer


def test_a_recipient_reads_answers_when_the_delivered_type_holds_predicates() -> None:
    grants = [("maybe.day", {"age-band": [6]}), ("maybe.word", {"equal": "VN"})]
    release = Release(
        fields=tuple(FieldGrant(path=p, form=parse_form(w, where="a")) for p, w in grants)
    )
    cls = delivered_class(derive_delivered(forms.contract(), release, agreement=REF))
    event: Any = cls.from_datum({"maybe": {"word": True, "day": "under_6"}})
    assert (event.maybe.word, event.maybe.day) == (True, "under_6")


def test_an_agreement_is_refused_when_it_names_more_fields_than_a_record_can() -> None:
    document = samples.agreement()
    document["releases"][BIRTH]["fields"] = [f"child.f{n}" for n in range(10_000)]
    with pytest.raises(InvalidAgreement, match="too many fields") as caught:
        parse_agreement(document, source="a.yaml")
    assert (caught.value.got, str(MAX_FIELDS) in str(caught.value)) == (10_000, True)
