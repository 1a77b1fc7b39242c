"""Bundles through the officers' process: on record first, judged, bounded, and whole."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from civicbus_audit.ledger import Ledger
from civicbus_audit.places import Places
from civicbus_audit.standalone import verify as alone
from civicbus_consumers.lookup.door import compose
from civicbus_consumers.officers import orders
from civicbus_consumers.officers.client import RECORD_HEADER
from civicbus_consumers.officers.export_service import ORDERED_PATH, PATH, ExportService
from civicbus_consumers.officers.exporting import ExportDesk, LedgerBundles
from civicbus_consumers.officers.orders import Act, Order
from civicbus_consumers.officers.request import canonical, parse_export
from civicbus_consumers.officers.rules import Role
from civicbus_schemas.vocabulary import Outcome, RecordKind

from tests.fakes.pages import AT
from tests.fakes.vault import opened
from tests.unit.completeness_samples import COMMIT, investigation, reading, sample_log
from tests.unit.evidence_samples import EXPORT_KEY, KEY, LOG, ORIGIN, POLICY
from tests.unit.lookup_samples import LAN, SIGNER
from tests.unit.officers_office import CASE, COMPLAINT, MPS, Office, bearer, official, subject
from tests.unit.test_officers_cases import code

ABOUT_LAN = COMPLAINT | {"find": {"pin": LAN.number, "since": f"{AT:%Y}-01-01T00:00:00+07:00"}}


@pytest.fixture
def bundles(tmp_path: Path) -> LedgerBundles:
    """A ledger with two readings about the woman, and what an officer asked about her."""
    hers = replace(reading(1), subject=subject())
    hidden = replace(investigation(1), subject=subject())
    asked = replace(hers, kind=RecordKind.OFFICER_QUERY)
    leaves = sample_log(hers, reading(2), asked, COMMIT, hidden).leaves
    with Ledger.open(tmp_path / "ledger", origin=ORIGIN, signer=LOG) as ledger:
        ledger.append([*leaves], [b""] * len(leaves), position=1)
    (tmp_path / "ledger.vkey").write_text(f"{LOG.verifier}\n")
    made = LedgerBundles(
        places=Places.under(tmp_path, vkey_file=tmp_path / "ledger.vkey"),
        key=EXPORT_KEY,
        folder=tmp_path / "exports",
        max_records=100,
        alone_max=50,
        deadline_s=60.0,
    )
    made.sweep()
    return made


def export(
    office: Office, bundles: LedgerBundles, document: Any, *, role: Role = Role.OFFICER
) -> Any:
    """One export with a fresh token."""
    desk = ExportDesk(desk=office.desk, bundles=bundles)
    service = ExportService(counter=office.counter, desk=desk, body_timeout_s=0.3)
    office.app = compose(*service.routes())
    headers = bearer(role)
    return office.serve(lambda client: client.post(PATH, json=document, headers=headers))


def ordered(
    office: Office,
    bundles: LedgerBundles,
    *,
    role: Role = Role.OFFICER,
    by: str = "tt-1",
    **changes: Any,
) -> Any:
    """The same by an order of two officials, brought by one; `changes` to what is sent."""
    now = time.time()
    about = canonical(parse_export(json.dumps(ABOUT_LAN).encode())).decode()
    order = Order(act=Act.EXPORT, about=about, reason="hồ sơ lớn")
    asked = orders.request(order, SIGNER, issuer=MPS, name="tt-1", now=now)
    approved = orders.approve(order, asked, SIGNER, issuer=MPS, name="gs-1", now=now)
    document = {"act": order.act, "about": about, "reason": order.reason}
    desk = ExportDesk(desk=office.desk, bundles=bundles)
    service = ExportService(counter=office.counter, desk=desk, body_timeout_s=0.3)
    office.app = compose(*service.routes())
    sent = document | {"request": asked, "approval": approved} | changes
    headers = bearer(role, sub=by)
    return office.serve(lambda client: client.post(ORDERED_PATH, json=sent, headers=headers))


def test_a_bundle_is_on_record_whole_and_leaves_nothing_behind(
    bundles: LedgerBundles, tmp_path: Path
) -> None:
    office = Office()
    answer = export(office, bundles, ABOUT_LAN)
    assert answer.status_code == 200, answer.text
    (tmp_path / "x.zip").write_bytes(answer.content)
    assert alone.verify_bundle(tmp_path / "x.zip", POLICY, KEY)["records"] == 2
    with zipfile.ZipFile(BytesIO(answer.content)) as bundle:
        manifest = json.loads(bundle.read("manifest.json"))
    assert manifest["completeness"]["kind"] == "index-commits"
    assert (manifest["case"], manifest["query"]["subject"]) == (CASE, subject())
    [record] = office.records
    assert answer.headers[RECORD_HEADER] == record.id
    assert (record.kind, record.decision) == (RecordKind.OFFICER_EXPORT, Outcome.PERMIT)
    assert (record.subject, record.actor.officer) == (subject(), official())
    assert [*bundles.folder.iterdir()] == []
    office.journal.close()
    assert office.headers[-1].released is not None


def test_more_than_one_official_may_have_takes_the_order_of_two(bundles: LedgerBundles) -> None:
    office, small = Office(), replace(bundles, alone_max=1)
    refused = export(office, small, ABOUT_LAN)
    assert (refused.status_code, code(refused)) == (403, "export-takes-two")
    assert refused.json()["expected"] == "at most 1 alone"
    answer = ordered(office, small)
    assert answer.status_code == 200, answer.text
    alone_record, record = office.records
    assert refused.json()["receipt"]["record_id"] == alone_record.id
    assert answer.headers[RECORD_HEADER] == record.id
    assert (alone_record.rule, record.rule) == (None, "two-officials")
    assert (record.kind, record.actor.officer) == (RecordKind.OFFICER_EXPORT, official("tt-1"))
    assert record.req is not None
    assert record.req.id == official("gs-1")
    _, part = (part for page in office.pages.pages for part in page.sealed)
    question = json.loads(json.loads(opened(part, record)[1])["question"])
    assert question["approved_by"] == {"agency": MPS, "officer": "gs-1"}
    assert question["reason"] == "hồ sơ lớn"
    assert [*bundles.folder.iterdir()] == []


def test_two_officials_export_no_more_than_a_bundle_holds(bundles: LedgerBundles) -> None:
    assert code(ordered(Office(), replace(bundles, max_records=1))) == "export-too-large"


def test_a_leaf_holds_nothing_that_an_order_could_be_guessed_by(bundles: LedgerBundles) -> None:
    office = Office()
    assert ordered(office, bundles).status_code == 200
    about = canonical(parse_export(json.dumps(ABOUT_LAN).encode())).decode()
    guessed = Order(act=Act.EXPORT, about=about, reason="hồ sơ lớn").hash
    [leaf] = [leaf for page in office.pages.pages for leaf in page.records]
    assert guessed[:16].encode() not in leaf
    assert bytes.fromhex(guessed)[:8] not in leaf


@pytest.mark.parametrize(
    "changes",
    [
        {"approval": ""},
        {"reason": "another"},
        {"act": "unseal"},
        {"about": "{}"},
        {"by": "tt-2"},
        {"by": "gs-1"},
        {"role": Role.SUPERVISOR},
    ],
)
def test_nothing_is_recorded_when_two_have_not_ordered_just_this(
    bundles: LedgerBundles, changes: Any
) -> None:
    office = Office()
    answer = ordered(office, bundles, **changes)
    assert (answer.status_code, code(answer)) == (403, "order-refused")
    assert office.records == []


@pytest.mark.parametrize(
    ("document", "role", "why"),
    [
        (ABOUT_LAN | {"purpose": "subject.own-data"}, Role.CITIZEN, "not-for-this-role"),
        ({"purpose": "oversight.inspection"}, Role.OFFICER, "case-missing"),
        (ABOUT_LAN, Role.SUPERVISOR, "purpose-mismatch"),
        (
            {"purpose": "oversight.own-agency", "case": "1", "find": {"agency": "vss"}},
            Role.AUDITOR,
            "not-for-this-agency",
        ),
    ],
)
def test_a_refusal_is_on_record_and_nothing_is_read(
    bundles: LedgerBundles, document: Any, role: Role, why: str
) -> None:
    office = Office()
    unread = replace(bundles, places=Places.under(Path("nowhere")))
    answer = export(office, unread, document, role=role)
    assert (answer.status_code, code(answer)) == (403, why)
    [record] = office.records
    assert (record.kind, record.decision) == (RecordKind.OFFICER_EXPORT, Outcome.DENY)


@pytest.mark.parametrize(
    "more", [{"find": {"flag": "self"}}, {"limit": 3}, {"cursor": "x"}, {"find": {"pin": "7"}}]
)
def test_nothing_is_recorded_when_the_request_is_malformed(
    bundles: LedgerBundles, more: Any
) -> None:
    office = Office()
    answer = export(office, bundles, ABOUT_LAN | more)
    assert (answer.status_code, code(answer)) == (400, "malformed-query")
    assert office.records == []


def test_nothing_is_read_when_the_export_cannot_be_recorded(bundles: LedgerBundles) -> None:
    office = Office()
    office.pages.fails = True
    unread = replace(bundles, places=Places.under(Path("nowhere")))
    assert code(export(office, unread, ABOUT_LAN)) == "cannot-record"


def _spoilt(bundles: LedgerBundles) -> LedgerBundles:
    entries = next((bundles.places.ledger_dir / "tile/entries").rglob("000.p/*"))
    data = bytearray(entries.read_bytes())
    data[40] ^= 1
    entries.write_bytes(data)
    return bundles


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda made: replace(made, max_records=1), "export-too-large"),
        (lambda made: replace(made, deadline_s=-1.0), "export-failed"),
        (_spoilt, "evidence-broken"),
    ],
)
def test_no_bundle_comes_about_when_it_is_too_large_too_slow_or_the_ledger_is_broken(
    bundles: LedgerBundles, change: Callable[[LedgerBundles], LedgerBundles], why: str
) -> None:
    office = Office()
    answer = export(office, change(bundles), ABOUT_LAN)
    assert code(answer) == why
    assert answer.json()["receipt"]["record_id"] == office.records[0].id
    assert [*bundles.folder.iterdir()] == []


def test_what_a_killed_process_left_is_gone_when_the_next_one_begins(
    bundles: LedgerBundles,
) -> None:
    (bundles.folder / "left.zip").write_bytes(b"half a bundle")
    bundles.sweep()
    assert [*bundles.folder.iterdir()] == []
