"""A bundle proves that nothing else matched, wherever that shows no more than the query does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from civicbus_audit.cli import app
from civicbus_audit.completeness.verifying import verify_complete
from civicbus_audit.evidence import command, completeness
from civicbus_audit.evidence.completeness import asked_by
from civicbus_audit.query import Query
from civicbus_audit.standalone import verify as alone
from civicbus_schemas.errors import EvidenceBroken
from civicbus_schemas.vocabulary import RecordKind
from typer.testing import CliRunner

from tests.fakes.pages import AT
from tests.unit.completeness_samples import person
from tests.unit.evidence_samples import (
    KEY,
    LOG,
    OFFICER,
    POLICY,
    make,
    make_committed_home,
    make_home,
    request,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_committed_home(tmp_path_factory.mktemp("home"))


def told_of(bundle: Path) -> dict[str, object]:
    """What the manifest says of completeness, when the bundle holds."""
    told: dict[str, object] = alone.verify_bundle(bundle, POLICY, KEY)["completeness"]
    return told


def test_nothing_else_matched_is_proved_when_one_person_is_asked_for(
    home: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "x"
    assert make(home, bundle, request(subject=person(1))) == 6
    told = told_of(bundle)
    figures = {name: told[name] for name in alone.FIGURES}
    assert (told["kind"], figures) == (
        "index-commits",
        {
            "covered": 11,
            "commits": 2,
            "proved": 5,
            "rescanned": 1,
            "unread": 1,
            "other_kinds": 1,
            "nameless": 1,
        },
    )
    assert "up to leaf 11" in str(told["en"])
    assert "đến lá 11" in str(told["vi"])
    data = (bundle / "completeness.json").read_bytes()
    assert [at for at, _ in verify_complete(data, LOG.verifier).proved] == [1, 4, 6, 7, 9]
    assert alone.verify_complete(data, POLICY)["proved"] == 5


@pytest.mark.parametrize(
    ("asked", "records"), [({"recipient": "police"}, 1), ({"officer": OFFICER}, 1)]
)
def test_nothing_else_matched_is_proved_when_a_recipient_or_an_officer_is_asked_for(
    home: Path, tmp_path: Path, asked: dict[str, str], records: int
) -> None:
    assert make(home, tmp_path / "x.zip", request(**asked)) == records
    told = told_of(tmp_path / "x.zip")
    assert (told["kind"], told["proved"], told["rescanned"]) == ("index-commits", records, 0)


def test_a_bundle_shows_no_investigation_when_its_query_leaves_them_out(
    home: Path, tmp_path: Path
) -> None:
    """No leaf of the bundle, so no byte of it, is of one that the filters leave out."""
    hidden = {"kind": "access.decision"}, {"except_kinds": ("access.deferred",)}, {"basis": "x"}
    for number, filters in enumerate((*hidden, {"only_deferred": ()}, {"recipient": "vss"})):
        bundle = tmp_path / str(number)
        make(home, bundle, request(subject=person(1), **filters))
        told = told_of(bundle)
        assert (told["kind"], told["reason"]) == ("re-scan", "query")
        assert "without other filters" in str(told["en"])
        assert "không có bộ lọc khác" in str(told["vi"])
        assert not (bundle / "completeness.json").exists()


def test_every_leaf_of_a_proof_is_one_that_the_query_shows_when_it_can_be_read(
    home: Path, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        bundle = tmp_path / str(number)
        make(home, bundle, request(subject=person(number)))
        data = (bundle / "completeness.json").read_bytes()
        in_proof = {index for index, _ in json.loads(data)["leaves"]}
        lines = (bundle / "records.ndjson").read_bytes().splitlines()
        assert in_proof - {json.loads(line)["index"] for line in lines} <= {5, 9, 11}


def test_the_manifest_says_why_when_nothing_is_proved(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uncommitted = make_home(tmp_path)
    make(uncommitted, tmp_path / "none", request(officer=OFFICER))
    assert told_of(tmp_path / "none")["reason"] == "no-commits"
    monkeypatch.setattr(completeness, "MAX_PROVED", 5)
    monkeypatch.setattr(alone, "MAX_PROVED", 5)
    make(home, tmp_path / "many", request(subject=person(1)))
    assert told_of(tmp_path / "many")["reason"] == "too-many"


def test_both_programs_set_the_same_limit_when_they_are_compared() -> None:
    assert alone.MAX_PROVED == completeness.MAX_PROVED
    assert {*alone.UNPROVED} == {*completeness.Unproved}
    assert [*alone.FIGURES] == [*completeness.Proved.__slots__]
    assert alone.PROOF == completeness.FILE


Lie = Callable[[int, bool], bool]
LIES: dict[str, tuple[Lie, str]] = {
    "one-proved-is-left-out": (lambda at, fits: fits and at != 4, "leaf 4 is in completeness.json"),
    "one-rescanned-is-left-out": (lambda at, fits: fits and at != 12, "leaf 12 is in complete"),
    "another-person-is-put-in": (lambda at, fits: fits or at == 8, "leaf 8 does not name whom"),
}


@pytest.mark.parametrize(("lie", "named"), LIES.values(), ids=LIES.keys())
def test_the_exporter_is_found_out_when_his_records_are_not_those_that_are_proved(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, lie: Lie, named: str
) -> None:
    """His bundle is whole in itself: one proof for the rest, counted and signed as it is."""
    matches = Query.predicate

    def lying(query: Query) -> Callable[..., bool]:
        honest = matches(query)
        return lambda row: lie(row["index"], honest(row))

    monkeypatch.setattr(Query, "predicate", lying)
    monkeypatch.setattr(Query, "needles", lambda _: ())
    with pytest.raises(EvidenceBroken, match=named):
        make(home, tmp_path / "x", request(subject=person(1)))
    assert list(tmp_path.iterdir()) == []


def test_a_proof_is_about_one_name_and_a_period_when_a_query_asks_for_just_that() -> None:
    whole = request(subject=person(1)).query
    asked = asked_by(whole)
    assert asked is not None
    assert (asked.texts, asked.since, asked.until) == ((person(1),), whole.since, whole.until)
    assert not asked.as_citizen
    assert asked_by(replace(whole, except_kinds=(RecordKind.OFFICER_QUERY,))) == asked
    deferred = {"except_kinds": (RecordKind.ACCESS_DEFERRED,)}
    for more in (
        deferred,
        {"officer": OFFICER},
        {"before": 3},
        {"decided": True},
        {"subject": None},
    ):
        assert asked_by(replace(whole, **more)) is None  # type: ignore[arg-type]


def test_the_command_says_on_what_completeness_rests_when_it_has_written(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "officer_of", lambda officer, *_: officer and OFFICER)

    def run(name: str, *more: str) -> str:
        asked = ["export", str(tmp_path / name), "--by", "inspectorate/o-17", "--why", "c 12"]
        period = ["--since", f"{AT:%Y-%m}-01", "--until", "2026-12-30", "--home", str(home)]
        done = CliRunner().invoke(app, [*asked, *period, *more], obj=lambda *_: "7" * 32)
        assert done.exit_code == 0, done.output
        return " ".join(done.stdout.split())

    subject = ("--subject", person(1))
    assert json.loads(run("a", *subject, "--json"))["completeness"]["covered"] == 11
    assert "prove it up to leaf 11" in run("b", *subject)
    officer = json.loads(run("d", "--officer", "o-1", "--agency", "vss", "--json"))
    assert (officer["records"], officer["completeness"]["kind"]) == (1, "index-commits")
    assert "Chỉ quét lại" in run("c", *subject, "--purpose", "x", "--lang", "vi")
