"""Ids are checked where they enter, and an error never shows what stood there."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

import pytest
from civicbus_schemas import ids
from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.ids import AgreementRef, Pin
from civicbus_schemas.topics import (
    SourceTopic,
    consent_group,
    delivery_topic,
    enforcement_group,
    partitions_of,
)

NAMES = ["moj", "hospital-bach-mai", "a1-2b"]
NOT_NAMES = ["", "Moj", "-moj", "moj-", "a--b", "1a", "moj\n", "mọj", "a.b", "a" * 129, "a b"]
DOTTED = ["law.state-management", "a.b", "a.1-x.c"]
NOT_DOTTED = ["law", "law.", ".law", "Law.a", "law..a", "law.a\n", "a.b" * 50]
TYPES = ["civil-status.BirthRegistered", "a.B"]
NOT_TYPES = ["civil-status.birth", "BirthRegistered", "a.B.C", "a.B\n", "A.B", "a.É"]


def dotted(text: str) -> str:
    """A dotted id."""
    return ids.dotted_id(text, what="purpose")


def hexed(text: str) -> str:
    """A hex id."""
    return ids.hex_id(text, what="record id")


GOOD = [
    *((ids.agency_id, text) for text in NAMES),
    *((ids.family_id, text) for text in NAMES),
    *((dotted, text) for text in DOTTED),
    *((ids.event_type, text) for text in TYPES),
    (hexed, "0123456789abcdef" * 2),
]
BAD = [
    *((ids.agency_id, text) for text in NOT_NAMES),
    *((ids.family_id, text) for text in NOT_NAMES),
    *((dotted, text) for text in NOT_DOTTED),
    *((ids.event_type, text) for text in NOT_TYPES),
    *((hexed, text) for text in ("0" * 31, "0" * 33, "A" * 32, "0" * 31 + "\n", "٠" * 32)),
]


@pytest.mark.parametrize(("check", "text"), GOOD)
def test_an_id_is_kept_when_it_is_well_formed(check: Callable[[str], str], text: str) -> None:
    assert check(text) == text


@pytest.mark.parametrize(("check", "text"), BAD)
def test_an_id_is_refused_when_it_is_malformed(check: Callable[[str], str], text: str) -> None:
    with pytest.raises(InvalidIdentifier, match="expected"):
        check(text)


@pytest.mark.parametrize("check", [ids.agency_id, ids.family_id, dotted, ids.event_type, hexed])
def test_an_error_hides_the_text_when_a_person_stands_where_an_id_should(
    check: Callable[[str], str],
) -> None:
    with pytest.raises(InvalidIdentifier) as caught:
        check("Nguyễn Văn A 001324012345")
    assert "Nguy" not in str(caught.value)
    assert "001324012345" not in str(caught.value)


@pytest.mark.parametrize(
    "number",
    ["", "1" * 11, "1" * 13, "00132401234x", " 01324012345", "٠" * 12, "²" * 12, "00132401234\n"],
)
def test_a_pin_is_refused_unshown_when_it_is_not_twelve_digits(number: str) -> None:
    with pytest.raises(InvalidIdentifier) as caught:
        Pin(number)
    assert not number or number not in str(caught.value)


def test_a_pin_hides_its_number_when_it_is_shown() -> None:
    pin = Pin("001324012345")
    for shown in (repr(pin), str(pin), f"{pin}", f"{[pin]}"):
        assert "001324012345" not in shown
    assert pin == Pin("001324012345")


def test_family_is_what_stands_before_the_dot_when_a_type_is_split() -> None:
    assert ids.family_of(ids.event_type("civil-status.BirthRegistered")) == "civil-status"


def test_event_ids_are_uuid7_in_order_of_time_when_they_are_made() -> None:
    before = time.time_ns() // 1_000_000
    first, second = UUID(ids.new_event_id()), UUID(ids.new_event_id())
    after = time.time_ns() // 1_000_000
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
    assert before <= first.int >> 80 <= second.int >> 80 <= after
    assert first != second


def test_recorder_ids_differ_when_two_are_made() -> None:
    first, second = ids.new_recorder_id(), ids.new_recorder_id()
    assert hexed(first) != hexed(second)


def test_an_agreement_reference_is_the_same_when_it_is_written_and_read() -> None:
    ref = AgreementRef("vss.child-health-insurance", 3)
    assert str(ref) == "vss.child-health-insurance@3"
    assert AgreementRef.parse(str(ref)) == ref


@pytest.mark.parametrize(
    "text",
    ["vss.a", "vss.a@", "vss.a@0", "vss.a@01", "vss.a@-1", "vss.a@1@2", "@1", "a@1", "vss.a@1\n",
     "vss.a@9999999", "vss.a@٣"],
)  # fmt: skip
def test_an_agreement_reference_is_refused_when_it_is_malformed(text: str) -> None:
    with pytest.raises(InvalidIdentifier):
        AgreementRef.parse(text)


def test_a_source_topic_is_the_same_when_it_is_written_and_read() -> None:
    topic = SourceTopic(ids.agency_id("moj"), "civil-status")
    assert topic.name == "src.moj.civil-status.v1"
    assert topic.dead_letters == "src.moj.civil-status.v1.dlq"
    assert SourceTopic.parse(topic.name) == topic


@pytest.mark.parametrize(
    "name",
    ["", "src.moj.civil-status", "dlv.moj.civil-status.v1", "src.moj.civil-status.v2",
     "src..civil-status.v1", "src.moj..v1", "src.moj.civil-status.v1.dlq"],
)  # fmt: skip
def test_a_topic_is_refused_when_it_is_no_source_topic(name: str) -> None:
    with pytest.raises(InvalidIdentifier):
        SourceTopic.parse(name)


def test_names_of_topics_and_groups_follow_the_design_when_they_are_made() -> None:
    assert delivery_topic(ids.agency_id("vss"), "health") == "dlv.vss.health.v1"
    assert (enforcement_group(0), consent_group(1)) == ("enforce-0", "consent-1")


@pytest.mark.parametrize("groups", [1, 2, 3, 5, 12])
def test_every_partition_has_one_group_when_groups_are_static(groups: int) -> None:
    held = [partitions_of(group, groups=groups) for group in range(groups)]
    assert sorted(partition for part in held for partition in part) == list(range(12))
    assert all(p % groups == group for group, part in enumerate(held) for p in part)
