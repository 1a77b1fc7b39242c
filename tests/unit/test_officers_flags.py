"""Questions by flag and by case: what was flagged so, to those who may see the readings."""

from __future__ import annotations

import html
from typing import Any

import pytest
from civicbus_audit.query import Query
from civicbus_consumers.flags.words import Flag
from civicbus_consumers.officers.form import PAGE_ROWS
from civicbus_consumers.officers.phrases import say
from civicbus_consumers.officers.rules import Role
from civicbus_schemas.errors import Refused
from civicbus_schemas.vocabulary import Outcome, RecordKind

from tests.fakes.officers import FakeShelf, entry
from tests.unit.officers_office import BANK, COMPLAINT, INSPECTOR, Office, case, official, token
from tests.unit.test_officers_pages import buttons
from tests.unit.test_officers_service import code, leaves

PURPOSE = {
    Role.OFFICER: "oversight.inspection",
    Role.AUDITOR: "oversight.own-agency",
    Role.SUPERVISOR: "oversight.supervision",
    Role.CITIZEN: "subject.own-data",
}


def flag(index: int, word: Flag, about: int, kind: str = RecordKind.FLAG_RAISED) -> Any:
    """The leaf of a flag about the record of another leaf."""
    return entry(index, kind=kind, rule=word, about=f"{about:032x}", actor="operator")


def flagged() -> FakeShelf:
    """Readings of two agencies and a question, each flagged, one by a flag that is closed."""
    return FakeShelf(
        [
            entry(1, recipient="bank", officer=official("o-1", BANK), case_id=case("V-1", BANK)),
            entry(2, recipient="vss"),
            entry(3, recipient="bank", officer=official("kt-1", BANK)),
            entry(4, recipient="bank"),
            entry(5, kind=RecordKind.OFFICER_QUERY, recipient="mps", officer=official("tt-7")),
            *(flag(10 + about, Flag.SELF, about) for about in (1, 2, 3, 5)),
            flag(21, Flag.SELF, 1, RecordKind.FLAG_CLOSED),
            flag(22, Flag.NO_CASE, 4),
            flag(23, Flag.SELF, 4, RecordKind.FLAG_LABELLED),
        ]
    )


@pytest.mark.parametrize(
    ("role", "sub", "expected"),
    [
        (Role.OFFICER, INSPECTOR, [3, 2, 1]),
        (Role.AUDITOR, "kt-2", [3, 1]),
        (Role.AUDITOR, "kt-1", [1]),  # not what he read himself
        (Role.SUPERVISOR, "gs-1", [5]),
    ],
)
def test_each_role_is_shown_what_it_may_see_when_it_asks_by_flag(
    role: Role, sub: str, expected: list[int]
) -> None:
    office = Office(flagged())
    question = {"purpose": PURPOSE[role], "find": {"flag": "self"}}
    assert leaves(office.ask(question, role=role, sub=sub)) == expected
    [record] = office.records
    assert (record.fields, record.decision) == (("flag",), Outcome.PERMIT)


def test_citizen_is_refused_on_record_when_he_asks_by_flag() -> None:
    office = Office(flagged())
    question = {"purpose": PURPOSE[Role.CITIZEN], "find": {"flag": "self"}}
    assert code(office.ask(question, role=Role.CITIZEN)) == "not-for-this-role"
    assert [record.decision for record in office.records] == [Outcome.DENY]
    assert office.shelf.asked == []


@pytest.mark.parametrize("word", ["selfish", "", 7, "SELF"])
def test_words_are_listed_and_nothing_is_recorded_when_the_flag_is_unknown(word: Any) -> None:
    office = Office(flagged())
    answer = office.ask(COMPLAINT | {"find": {"flag": word}})
    assert (answer.status_code, code(answer)) == (400, "malformed-query")
    told = answer.json()
    assert (told["member"], told["expected"]) == ("find.flag", f"one of {', '.join(Flag)}")
    assert office.records == []


def test_readings_of_a_case_are_found_when_its_agency_is_named() -> None:
    office = Office(flagged())
    assert leaves(office.ask(COMPLAINT | {"find": {"agency": "bank", "case": "V-1"}})) == [1]
    assert leaves(office.ask(COMPLAINT | {"find": {"agency": "vss", "case": "V-1"}})) == []
    assert code(office.ask(COMPLAINT | {"find": {"case": "V-1"}})) == "malformed-query"


def test_page_asks_by_flag_and_case_to_the_last_row() -> None:
    count = PAGE_ROWS + 2
    readings = [entry(n, recipient="bank", case_id=case("V-1", BANK)) for n in range(1, count + 1)]
    flags = [flag(1000 + n, Flag.SELF, n) for n in range(1, count + 1)]
    office = Office(FakeShelf([*readings, *flags, entry(5000, recipient="bank")]))
    asked = {"agency": "bank", "agency_case": "V-1", "flag": "self"}
    posted = {"token": token(), "purpose": PURPOSE[Role.OFFICER], **asked}
    shown = office.post("/", posted).text
    assert len(buttons(shown, "/verify")) == PAGE_ROWS
    [more] = [form for form in buttons(shown, "/") if "cursor" in form]
    assert len(buttons(office.post("/", more).text, "/verify")) == 2
    assert office.records[-1].fields == ("agency", "case", "flag")


def test_page_offers_every_word_in_both_languages() -> None:
    for language in ("en", "vi"):
        text = html.unescape(Office().get(f"/?lang={language}").text)
        for word in Flag:
            assert f'<option value="{word}">{say(f"flag-{word}", language)}</option>' in text
            assert say(f"flag-{word}", language) != f"flag-{word}"


def test_a_row_is_not_judged_alone_when_flags_are_asked_for() -> None:
    with pytest.raises(Refused, match="other leaves"):
        Query(flagged="self").predicate()
