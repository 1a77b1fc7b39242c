"""The pages for people: the same answers, escaped, in two languages, with nothing in an address."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from civicbus_consumers.officers.form import PAGE_ROWS
from civicbus_consumers.officers.rules import Role
from civicbus_consumers.officers.words import WordBook
from civicbus_schemas.errors import Stopped

from tests.fakes.officers import FakeShelf, entry
from tests.unit.lookup_samples import LAN, policy
from tests.unit.officers_office import CASE, Office, history, subject, token

HOSTILE = "<script>alert('x')</script>\"&"
VI, EN = {"Accept-Language": "vi"}, {"Accept-Language": "en"}


@pytest.fixture
def policy_sets(tmp_path: Path) -> Path:
    """A folder with the titles of the packaged nation."""
    nation = policy()
    document = {
        "agencies": {id_: {"names": _titles(one.names)} for id_, one in nation.agencies.items()},
        "purposes": {id_: {"titles": _titles(one.titles)} for id_, one in nation.purposes.items()},
        "bases": {id_: {"titles": _titles(one.titles)} for id_, one in nation.bases.items()},
    }
    (tmp_path / f"{nation.version}.json").write_text(json.dumps(document))
    return tmp_path


def _titles(title: Any) -> dict[str, str]:
    return {"vi": title.vi, "en": title.en}


def about_lan(role: Role = Role.OFFICER, **fields: str) -> dict[str, str]:
    """The form of an officer who asks about a woman, or of herself."""
    if role is Role.CITIZEN:
        return {"token": token(role), **fields}
    asked = {"pin": LAN.number, "purpose": "oversight.complaint", "case": CASE}
    return {"token": token(role), **asked, **fields}


def buttons(text: str, action: str) -> list[dict[str, str]]:
    """The hidden fields of every form with that action."""
    forms = re.findall(rf'<form method="post" action="{action}">(.*?)</form>', text, re.S)
    pattern = r'name="(\w+)" value="([^"]*)"'
    return [{n: html.unescape(v) for n, v in re.findall(pattern, one)} for one in forms]


@pytest.mark.parametrize(("language", "asks"), [(VI, "Hỏi"), (EN, "Ask")], ids=["vi", "en"])
def test_form_is_in_the_readers_language_when_it_is_opened(
    language: dict[str, str], asks: str
) -> None:
    office = Office()
    answer = office.get("/", **language)
    assert f"<button>{asks}</button>" in answer.text
    assert answer.headers["content-language"] == language["Accept-Language"]
    chosen = office.get("/?lang=en", **VI)
    assert "<button>Ask</button>" in chosen.text


def test_page_tells_who_why_and_on_what_ground_when_an_officer_asks(policy_sets: Path) -> None:
    shelf = FakeShelf(
        [
            entry(
                1,
                recipient="bank",
                subject=subject(),
                purpose="credit.verify-customer",
                basis="consent.data-subject",
                dataset="population.Person",
                fields=("full_name", "sex"),
            )
        ]
    )
    office = Office(shelf, policy_sets=policy_sets)
    nation = policy()
    for language in ("vi", "en"):
        text = html.unescape(office.post("/", about_lan(lang=language)).text)
        for title in (
            nation.agencies["bank"].names,  # type: ignore[index]
            nation.purposes["credit.verify-customer"].titles,
            nation.bases["consent.data-subject"].titles,
        ):
            assert getattr(title, language) in text
        assert "population.Person: full_name, sex" in text
    assert len(office.records) == 2


def test_citizen_sees_himself_and_the_hidden_counted_when_he_posts_his_token() -> None:
    office = Office(history())
    text = office.post("/", about_lan(Role.CITIZEN), **EN).text
    assert "1 more, in investigations that go on" in text
    assert [form["record"] for form in buttons(text, "/verify")] == [f"{4:032x}", f"{1:032x}"]
    [record] = office.records
    assert record.kind == "citizen.query"


@pytest.mark.parametrize(
    ("language", "told"),
    [(VI, "còn 7 lá mới hơn của sổ cái"), (EN, "up to leaf 10: 7 newer leaves")],
    ids=["vi", "en"],
)
def test_page_says_up_to_which_leaf_it_is_when_the_index_is_behind(
    language: dict[str, str], told: str
) -> None:
    office = Office(history())
    assert told not in office.post("/", about_lan(), **language).text
    office.shelf.later = 7
    assert told in office.post("/", about_lan(), **language).text


def test_page_says_where_the_ledger_begins_when_it_was_pruned() -> None:
    office = Office(history())
    assert "đã được tỉa" not in office.post("/", about_lan()).text
    office.shelf.pruned = 3
    assert "trước lá số 3 đã được tỉa" in office.post("/", about_lan()).text


def test_nothing_is_markup_when_a_leaf_or_a_form_holds_markup() -> None:
    shelf = FakeShelf(
        [entry(1, subject=subject(), purpose=HOSTILE, agreement=HOSTILE, rule=HOSTILE)]
    )
    office = Office(shelf)
    shown = office.post("/", about_lan(case=HOSTILE, lang="en"))
    assert shown.status_code == 200
    refused = office.post("/", about_lan(purpose=HOSTILE, case=HOSTILE))
    assert refused.status_code == 400
    for text in (shown.text, refused.text):
        assert "<script" not in text
        assert "alert('x')" not in text
    assert html.escape(HOSTILE).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in shown.text


@pytest.mark.parametrize("path", ["/", "/style.css"])
def test_browser_is_told_to_run_nothing_and_keep_nothing(path: str) -> None:
    headers = Office().get(path).headers
    policy_ = headers["content-security-policy"]
    assert "default-src 'none'" in policy_
    assert "script-src" not in policy_
    assert "unsafe" not in policy_
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in headers


def test_token_and_number_stand_in_no_address_when_rows_are_shown() -> None:
    text = Office(history()).post("/", about_lan()).text
    for address in re.findall(r'(?:href|action|src)="([^"]*)"', text):
        assert LAN.number not in address
        assert "token" not in address
        known = ("/", "/verify", "/proof", "/complete", "/style.css")
        assert address in known or address.startswith("/?lang=")


def test_row_is_verified_and_its_proof_downloaded_when_its_buttons_are_pressed() -> None:
    office = Office(history())
    text = office.post("/", about_lan(), **EN).text
    [verify, *_], [proof, *_] = buttons(text, "/verify"), buttons(text, "/proof")
    verified = office.post("/verify", verify)
    assert "The proof holds: this is leaf 6 of 9 in test/log." in verified.text
    file = office.post("/proof", proof)
    assert file.text == "proof of leaf 6\n"
    assert "attachment" in file.headers["content-disposition"]
    assert file.headers["cache-control"] == "no-store"
    forged = office.post("/verify", verify | {"record": f"{2:032x}"})
    assert (forged.status_code, "not-shown" in forged.text) == (403, True)
    office.shelf.broken = True
    assert office.post("/verify", verify).status_code == 500


def test_the_proof_that_nothing_is_missing_is_downloaded_when_its_button_is_pressed() -> None:
    office = Office(history())
    [complete] = buttons(office.post("/", about_lan(), **EN).text, "/complete")
    file = office.post("/complete", complete)
    assert file.text == "complete\n"
    assert "readings.complete" in file.headers["content-disposition"]
    refused = office.post("/complete", complete | {"case": "another"}, **EN)
    assert refused.status_code == 403


def test_earlier_rows_come_when_the_next_button_is_pressed() -> None:
    count = PAGE_ROWS + 3
    office = Office(FakeShelf([entry(n, subject=subject()) for n in range(count)]))
    text = office.post("/", about_lan()).text
    [more] = [form for form in buttons(text, "/") if "cursor" in form]
    rest = office.post("/", more).text
    assert len(buttons(rest, "/verify")) == 3
    assert [form for form in buttons(rest, "/") if "cursor" in form] == []


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({}, 401, "token-missing"),
        ({"token": "x"}, 401, "token-malformed"),
        ({"token": "x", "admin": "1"}, 400, "malformed-query"),
        ({"token": "x", "pin": "1", "lang": "de", "colour": "red"}, 400, "malformed-query"),
    ],
)
def test_form_is_refused_with_a_page_when_it_is_wrong(
    fields: dict[str, str], status: int, code: str
) -> None:
    office = Office()
    answer = office.post("/", fields, **({} if fields else {"Content-Type": FORM_TYPE}))
    assert answer.headers["content-type"].startswith("text/html")
    assert (answer.status_code, code in answer.text) == (status, True)
    assert office.records == []


FORM_TYPE = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "body", [b"token=a&token=b", b"\xff=\xff", b"token=%ff", b"token", b"x=1" * 4000]
)
def test_form_is_refused_when_its_bytes_are_no_form(body: bytes) -> None:
    office = Office()
    headers = {"Content-Type": FORM_TYPE}
    answer = office.serve(lambda client: client.post("/", content=body, headers=headers))
    assert answer.status_code in (400, 413)
    assert office.records == []


def test_denial_is_a_page_and_on_record_when_a_case_is_missing() -> None:
    office = Office(history())
    answer = office.post("/", {k: v for k, v in about_lan().items() if k != "case"}, **EN)
    assert (answer.status_code, "case-missing" in answer.text) == (403, True)
    assert len(office.records) == 1


def test_titles_follow_when_another_set_is_announced(policy_sets: Path) -> None:
    words = WordBook(policy_sets)
    assert words.purpose("moon.landing", "en") == "moon.landing"
    later = {"agencies": {}, "bases": {}, "purposes": {"moon.landing": {"titles": {"en": "Moon"}}}}
    (policy_sets / "later.json").write_text(json.dumps(later))
    assert words.purpose("moon.landing", "en") == "Moon"
    assert words.purpose("moon.landing", "vi") == "moon.landing"
    (policy_sets / "broken.json").write_text("{")
    with pytest.raises(Stopped):
        words.agency("bank", "vi")
