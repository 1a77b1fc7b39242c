"""Evidence bundles: complete, whole or not at all, and provable without us."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from civicbus_audit.cli import app
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.evidence.export import Source, export
from civicbus_audit.evidence.request import Request
from civicbus_audit.index.rows import row_of
from civicbus_audit.ledger import Ledger
from civicbus_audit.merkle import leaf_hash
from civicbus_audit.query import Query
from civicbus_audit.standalone import verify as alone
from civicbus_audit.stored import StoredLog
from civicbus_schemas.errors import EvidenceBroken, Refused, TooLarge, Unavailable
from civicbus_schemas.record import Record
from typer.testing import CliRunner, Result

from tests.fakes.pages import AT, decision
from tests.unit.evidence_samples import (
    CHILD,
    EXPORTER,
    KEY,
    LOG,
    ORIGIN,
    POLICY,
    flipped,
    make,
    make_child_bundle,
    make_home,
    request,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def bundle(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_child_bundle(home, tmp_path_factory.mktemp("bundle"))


def test_a_bundle_holds_exactly_what_matches_when_it_was_exported(home: Path, bundle: Path) -> None:
    manifest = alone.verify_bundle(bundle, POLICY, KEY)
    told = [json.loads(x) for x in (bundle / "records.ndjson").read_bytes().splitlines()]
    directory = LedgerDirectory(home / "ledger")
    leaves = dict(StoredLog(directory.read, manifest["size"]).leaves())
    about = [i for i, leaf in leaves.items() if bytes.fromhex(CHILD) in leaf]
    assert [line["index"] for line in told] == about
    assert manifest["records"] == len(about) == 48
    told_of = manifest["completeness"]
    assert (told_of["first_leaf"], told_of["leaves_read"]) == (0, manifest["size"])
    assert told_of["unreadable"] == 8
    assert (manifest["agency"], manifest["officer"], manifest["case"]) == (
        "inspectorate",
        "o-17",
        "12/2026",
    )
    assert manifest["query"]["subject"] == CHILD
    for line in told:
        record = Record.decode(leaves[line["index"]])
        assert (line["record"]["id"], line["record"]["decision"]) == (record.id, record.decision)
        assert line["leaf_hash"] == leaf_hash(leaves[line["index"]]).hex()
    assert len((bundle / "proof.hashes").read_bytes()) // 32 < 48 * 5
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o700


def test_a_bundle_is_verified_without_our_packages_when_it_is_elsewhere(
    home: Path, tmp_path: Path
) -> None:
    target = tmp_path / "evidence.zip"
    make(home, target, request(subject=CHILD))
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with zipfile.ZipFile(target) as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path / "unpacked")
    for name in ("policy", "exporter.vkey"):
        shutil.copy(home / "keys" / name, tmp_path)
    for what in ("evidence.zip", "unpacked"):
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-W", "error", "unpacked/verify.py", "bundle", what,
             "--policy", "policy", "--exporter", "exporter.vkey"],
            cwd=tmp_path, env={"PATH": os.defpath}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"The bundle holds: 48 records of {ORIGIN}")


def test_nothing_is_read_when_the_request_may_not_be_announced(home: Path, tmp_path: Path) -> None:
    class Unread(LedgerDirectory):
        def read(self, path: str) -> bytes:
            raise AssertionError(path)

    def refuse(asked: Request) -> None:
        assert asked.purpose.startswith("Complaint")
        raise Refused("this officer may not export")

    unread = Source(directory=Unread(home / "ledger"), trust=LOG.verifier)
    with pytest.raises(Refused, match="may not export"):
        export(request(), unread, tmp_path / "x", signer=EXPORTER, at=AT, before_reading=refuse)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_the_ledger_was_tampered_with(home: Path, tmp_path: Path) -> None:
    ledger = shutil.copytree(home / "ledger", tmp_path / "ledger")
    flipped(ledger / "tile/entries/001", 4000)
    broken = Source(directory=LedgerDirectory(ledger), trust=LOG.verifier)
    (tmp_path / "out").mkdir()
    with pytest.raises(EvidenceBroken):
        export(
            request(),
            broken,
            tmp_path / "out/x.zip",
            signer=EXPORTER,
            at=AT,
            before_reading=lambda _: None,
        )
    assert list((tmp_path / "out").iterdir()) == []


def test_an_answer_of_nothing_is_evidence_too_when_nothing_matches(
    home: Path, tmp_path: Path
) -> None:
    assert make(home, tmp_path / "none.zip", request(purpose="x' or '1'='1")) == 0
    assert alone.verify_bundle(tmp_path / "none.zip", POLICY, KEY)["records"] == 0


def test_the_longest_leaf_is_exported_when_it_is_a_record(tmp_path: Path) -> None:
    record = decision()
    room = 65_535 - len(replace(record, consent="x" * 70).encode()) + 70
    longest = replace(record, consent="x" * (room - 2))  # its length takes three bytes, not two
    longest = replace(longest, consent="x" * (room - 2 + 65_535 - len(longest.encode())))
    assert len(longest.encode()) == 65_535
    with pytest.raises(TooLarge):
        replace(longest, consent=f"{longest.consent}x").encode()
    with Ledger.open(tmp_path / "ledger", origin=ORIGIN, signer=LOG) as ledger:
        ledger.append([longest.encode(), bytes(65_535)], [b"", b""], position=1)
    place = Source(directory=LedgerDirectory(tmp_path / "ledger"), trust=LOG.verifier)
    done = export(
        request(), place, tmp_path / "x.zip", signer=EXPORTER, at=AT, before_reading=lambda _: None
    )
    assert (done.records, done.unreadable) == (1, 1)
    assert alone.verify_bundle(tmp_path / "x.zip", POLICY, KEY)["records"] == 1


def test_bundles_and_rows_agree_when_each_filter_is_asked(home: Path, tmp_path: Path) -> None:
    log = StoredLog(LedgerDirectory(home / "ledger").read, 800)
    rows = {index: row_of(index, leaf, page=None)[0] for index, leaf in log.leaves()}
    asked: Iterator[dict[str, object]] = iter(
        [
            {},
            {"recipient": "bank"},
            {"officer": "9" * 32},
            {"decision": "deny", "reason": "no-consent"},
            {"since": AT + timedelta(minutes=20), "disclosed": True},
            {"decided": True, "before": 100},
            {"agreement": "vss.child-health-insurance@3", "until": AT + timedelta(minutes=2)},
            {"event_id": "e-1", "basis": "law.state-management", "actor": "vss"},
            {"kind": "log.gap"},
            {"except_officer": "9" * 32, "only_deferred": (1, 2), "subject": "6" * 32},
            {"except_kinds": ("access.decision",)},
        ]
    )
    for number, filters in enumerate(asked):
        wanted = request(**filters)
        count = make(home, tmp_path / str(number), wanted)
        lines = (tmp_path / str(number) / "records.ndjson").read_bytes().splitlines()
        assert len(lines) == count
        matching = [i for i, row in rows.items() if "decision" in row and wanted.query.matches(row)]
        assert [json.loads(line)["index"] for line in lines] == matching


@pytest.mark.parametrize(
    "wrong",
    [
        {"purpose": ""},
        {"purpose": "  "},
        {"purpose": "x" * 501},
        {"purpose": "a\nb"},
        {"officer": ""},
        {"case": ""},
        {"query": Query()},
        {"query": replace(request().query, limit=1)},
        {"query": replace(request().query, offset=1)},
        {"query": Query(since=AT)},
        {"query": Query(since=AT, until=AT)},
        {"query": Query(since=AT, until=AT - timedelta(days=1))},
        {"query": Query(since=AT, until=AT + timedelta(days=367))},
    ],
)
def test_a_request_is_refused_when_it_says_no_purpose_or_a_wrong_range(
    wrong: dict[str, object],
) -> None:
    with pytest.raises(Refused):
        replace(request(), **wrong)  # type: ignore[arg-type]


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--home", str(home)], obj=lambda *_: "7" * 32)


ASKED = ("--by", "inspectorate/o-17", "--since", "2026-11-01", "--until", "2026-12-01")
WHY = ("--why", "complaint 12/2026")


def test_the_command_writes_a_bundle_that_verifies_when_it_is_asked(
    home: Path, tmp_path: Path
) -> None:
    target = tmp_path / "evidence.zip"
    done = run(home, "export", str(target), *ASKED, *WHY, "--subject", CHILD, "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["records"], told["unreadable"], told["size"]) == (48, 8, 800)
    with zipfile.ZipFile(target) as bundle:
        told = bundle.read("releases.csv").decode().splitlines()
    assert (len(told), told[0], {row.partition(",")[2] for row in told[1:]}) == (
        49, "index,release", {"none", "unsettled"},
    )  # fmt: skip
    assert "complaint 12/2026" in done.stderr
    assert alone.verify_bundle(target, POLICY, KEY)["records"] == 48
    again = run(home, "export", str(target), *ASKED, *WHY)
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)
    vietnamese = run(home, "export", str(tmp_path / "x"), *ASKED, *WHY, "--lang", "vi")
    assert "lá khớp" in vietnamese.stdout


def test_the_command_exports_nothing_when_nothing_records_it(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.zip"
    asked = ["export", str(target), *ASKED, *WHY, "--home", str(home)]
    done = CliRunner().invoke(app, asked)
    assert (done.exit_code, "nothing records an export here" in done.stderr) == (2, True)

    def fails(request: Request, _home: Path) -> str:
        raise Unavailable("the page topic does not acknowledge", got=request.agency)

    assert CliRunner().invoke(app, asked, obj=fails).exit_code == 3
    assert list(tmp_path.iterdir()) == []


def test_the_command_exits_with_2_when_the_request_is_wrong(home: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "x.zip")
    for wrong in [
        (*ASKED,),
        (*ASKED, "--why", " "),
        (*WHY, *ASKED[2:]),
        (*WHY, *ASKED[2:], "--by", "inspectorate"),
        (*WHY, *ASKED[2:], "--by", "No Agency/x"),
        (*WHY, *ASKED, "--until", "2026-10-01"),
        (*WHY, *ASKED, "--since", "2020-01-01"),
        (*WHY, *ASKED, "--subject", "xyz"),
        (*WHY, *ASKED, "--officer", "o-1"),
        (*WHY, *ASKED, "--key", str(tmp_path / "nowhere")),
    ]:
        done = run(home, "export", target, *wrong)
        assert done.exit_code == 2, (wrong, done.output)
    assert list(tmp_path.iterdir()) == []
