"""The officers' process on the real servers: recorded, then answered; least rights; killed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
import typer
from civicbus_audit.note import Verifier
from civicbus_audit.standalone import verify as alone
from civicbus_audit.verify import verify_proof
from civicbus_consumers.officers.rules import Role
from civicbus_deploy.embedded.postgres import dsn_file
from civicbus_deploy.embedded.state import read_json, write_json
from civicbus_deploy.oversight.auditing import app as auditing
from civicbus_deploy.oversight.orders import app as orders
from civicbus_deploy.oversight.questions import app as questions
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import Outcome, RecordKind
from psycopg import connect, errors
from typer.testing import CliRunner

from tests.bus import Bus
from tests.integration.lookup_place import LookupPlace, is_told, person
from tests.integration.officers_place import INSPECTOR, OfficersPlace
from tests.unit.lookup_samples import LAN, asked

pytestmark = pytest.mark.broker

ABOUT_LAN = {"purpose": "oversight.complaint", "case": "TT-2026/7", "find": {"pin": LAN.number}}
OWN_DATA = {"purpose": "subject.own-data"}
SUPERVISION = {"purpose": "oversight.supervision"}


@pytest.fixture(scope="module")
def place(bus: Bus) -> Iterator[OfficersPlace]:
    """A bus on which one woman was read twice: by her insurer, and in an investigation."""
    lookups = LookupPlace(bus)
    lookups.settle(person())
    with lookups.running(), bus.running("sealing"), bus.running("indexing"):
        lookups.serve()
        hidden = asked(purpose="investigation.criminal", case="VA-2026/7")
        assert lookups.code() == "result"
        assert lookups.code(hidden, agency=AgencyId("mps")) == "result"
        made = OfficersPlace(bus)
        with made.serving():
            bus.wait(lambda: _sees(made, 2), "the readings to be sealed")
            bus.wait(lambda: _trail(made) > 0, "the questions to be sealed")
        lookups.end()
        yield made


def _sees(place: OfficersPlace, count: int) -> bool:
    """Before the first leaf is indexed there is no index to ask."""
    answer = place.ask(ABOUT_LAN)
    return answer.status_code == 200 and len(answer.json()["rows"]) == count


def _trail(place: OfficersPlace) -> int:
    return len(place.rows(SUPERVISION, Role.SUPERVISOR, "gs-1"))


def test_row_is_proved_offline_when_an_officer_was_shown_it(place: OfficersPlace) -> None:
    with place.serving() as worker:
        answer = place.ask(ABOUT_LAN).json()
        hidden, shown = answer["rows"]
        assert (shown["recipient"], hidden["kind"]) == ("vss", RecordKind.ACCESS_DEFERRED)
        proof = httpx.get(place.url + shown["proof"], headers=place.bearer(Role.OFFICER))
        stranger = httpx.get(place.url + shown["proof"], headers=place.bearer(Role.OFFICER, "x"))
    assert stranger.json()["code"] == "not-shown"
    vkey = Verifier.parse((place.bus.stack.folder.keys / "ledger.vkey").read_text().strip())
    proved = verify_proof(proof.content, vkey)
    assert (proved.index, Record.decode(proved.leaf).id) == (shown["leaf"], shown["id"])
    record = {r.id: r for r in place.records()}[answer["receipt"]["record_id"]]
    assert (record.kind, record.decision) == (RecordKind.OFFICER_QUERY, Outcome.PERMIT)
    told = worker.log.read_text() + json.dumps(answer)
    assert not is_told(told)
    assert INSPECTOR not in told


def test_citizen_sees_his_insurer_and_a_count_while_he_is_investigated(
    place: OfficersPlace,
) -> None:
    with place.serving():
        answer = place.ask(OWN_DATA, Role.CITIZEN, LAN.number).json()
        other = place.ask(OWN_DATA | {"find": {"pin": "001390099999"}}, Role.CITIZEN, LAN.number)
    assert [row["recipient"] for row in answer["rows"]] == ["vss"]
    assert answer["hidden"] == 1
    assert (other.status_code, other.json()["code"]) == (403, "not-about-yourself")


def test_questions_are_the_supervisors_to_see_when_officers_have_asked(
    place: OfficersPlace,
) -> None:
    with place.serving():
        seen = place.rows(SUPERVISION, Role.SUPERVISOR, "gs-1")
        own = place.rows(SUPERVISION, Role.SUPERVISOR, INSPECTOR)
        by_officer = place.rows({"purpose": "oversight.inspection"})
        by_auditor = place.rows({"purpose": "oversight.own-agency"}, Role.AUDITOR)
    assert {row["kind"] for row in seen} == {RecordKind.OFFICER_QUERY}
    officers = {row["officer"] for row in seen}
    assert len(officers) == 1
    assert officers.isdisjoint(row.get("officer") for row in own)
    assert RecordKind.OFFICER_QUERY not in {row["kind"] for row in by_officer}
    assert by_auditor == []  # the bank was given nothing


def test_role_of_the_process_reads_the_index_and_nothing_else(place: OfficersPlace) -> None:
    dsn = dsn_file(place.bus.stack.folder, "officers").read_text().strip()
    with connect(dsn, autocommit=True) as connection:
        assert connection.execute("select count(*) from audit.leaf").fetchone() != (0,)
        for statement in (
            "delete from audit.leaf",
            "update audit.recorder set closed = true",
            "create table audit.mine (n int)",
            "select * from population.person_current",
            "select * from lookup.lease",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_question_is_durable_and_nothing_was_shown_when_the_process_died_between(
    place: OfficersPlace,
) -> None:
    before = len(place.records())
    with place.serving("--die-at", "recorded") as worker:
        with pytest.raises(httpx.TransportError):
            place.ask(ABOUT_LAN)
        assert worker.wait() == -9
    [last] = place.records()[before:]
    assert last.decision is Outcome.PERMIT
    (header, _) = place.pages()[-1]
    assert header.header.released is None  # nobody says that anybody saw it
    with place.serving() as worker:
        assert len(place.rows(ABOUT_LAN)) == 2
        assert worker.stop() == 0
    *_, question, heartbeat = (header.header for header, _ in place.pages())
    assert heartbeat.released is not None
    assert heartbeat.released.sequence == question.sequence


def test_nothing_is_asked_when_the_token_is_forged(place: OfficersPlace) -> None:
    with place.serving():
        headers = place.bearer(Role.OFFICER)
        forged = {"Authorization": headers["Authorization"][:-4] + "AAAA"}
        url = f"{place.url}/v1/audit/queries"
        answer = httpx.post(url, json=ABOUT_LAN, headers=forged, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (401, "token-forged")


def run(
    place: OfficersPlace, *arguments: str, stdin: str | None = None, app: typer.Typer = questions
) -> str:
    """What the command prints."""
    home = str(place.bus.stack.folder.home)
    done = CliRunner().invoke(
        app, [*arguments, "--home", home], input=stdin, catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return done.output


order = partial(run, app=orders)


def test_commands_ask_and_pages_show_when_the_stack_serves(place: OfficersPlace) -> None:
    officer = ("--as", "officer", "--name", INSPECTOR)
    why = ("--purpose", "oversight.complaint", "--case", "TT-2026/7", "--pin", "-")
    citizen = ("--as", "citizen", "--name", LAN.number)
    with place.serving():
        told = json.loads(run(place, "ask", *officer, *why, "--json", stdin=LAN.number))
        shown = run(place, "ask", *citizen, "--purpose", "subject.own-data")
        with pytest.raises(Refused, match="case-missing"):
            run(place, "ask", *officer, *why[:2], "--pin", LAN.number)
        with pytest.raises(Refused, match="--issuer"):
            run(place, "token", "--as", "agency-auditor", "--name", "x")
        token = run(place, "token", *citizen).strip()
        page = httpx.post(place.url, data={"token": token, "lang": "vi"}, timeout=20)
        hidden = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
        verified = httpx.post(f"{place.url}/verify", data=hidden, timeout=20)
        usage = httpx.get(
            f"{place.url}/findUsage?userCode=VN{LAN.number}",
            headers={"Authorization": f"Bearer {token}", "X-Road-UserId": LAN.number},
            timeout=20,
        ).json()
        period = httpx.get(f"{place.url}/usagePeriod", timeout=20).json()
    assert len(told["rows"]) == 2
    assert "vss" in shown
    assert "1 more, in investigations that go on" in shown
    assert "Bảo hiểm xã hội Việt Nam" in page.text
    assert "Bằng chứng hợp lệ" in verified.text
    [used] = usage["usages"]
    assert (used["receiverCode"], usage["hiddenUsages"]) == ("vss", 1)
    assert used["action"] == "Cấp thẻ bảo hiểm y tế cho trẻ dưới 6 tuổi"
    assert period["periodStart"] <= used["logtime"]


def test_sealed_part_is_shown_and_on_record_when_two_officials_order_it(
    place: OfficersPlace, tmp_path: Path
) -> None:
    file = str(tmp_path / "order.json")
    with place.serving():
        [shown] = [row for row in place.ask(ABOUT_LAN).json()["rows"] if row["recipient"] == "vss"]
        asked_by = ("--unseal", shown["id"], "--name", INSPECTOR, "--reason", "khiếu nại")
        order(place, "request", file, *asked_by)
        order(place, "approve", file, "--name", "gs-1")
        told = json.loads(order(place, "carry-out", file))
    assert told["contents"]["case"] == asked()["case"]
    (_, [unsealing]), (after, _) = place.pages("officers-orders")
    assert after.header.released is not None
    assert unsealing.kind is RecordKind.PART_UNSEALING
    assert (unsealing.id, unsealing.subject) == (told["receipt"]["record_id"], shown["subject"])


def test_bundles_are_on_record_before_they_are_made(place: OfficersPlace, tmp_path: Path) -> None:
    by_officer, by_operator = tmp_path / "officer.zip", tmp_path / "operator.zip"
    officer = ("--as", "officer", "--name", INSPECTOR, "--case", "TT-2026/7")
    home = place.bus.stack.folder.home
    with place.serving():
        why = ("--purpose", "oversight.complaint", "--pin", "-")
        told = run(place, "export", str(by_officer), *officer, *why, stdin=LAN.number)
    [record] = [r for r in place.records() if r.id in told]
    assert record.kind is RecordKind.OFFICER_EXPORT
    period = ("--since", "2020-01-01", "--until", "2020-12-01")
    asked_by = ("--by", f"mps/{INSPECTOR}", "--why", "audit", *period, "--subject", record.subject)
    done = CliRunner().invoke(
        auditing, ["export", str(by_operator), *map(str, asked_by), "--home", str(home)]
    )
    assert done.exit_code == 0, done.output
    [(_, [leaf])] = [page for page in place.pages("oversight") if page[1]]
    assert leaf.id in " ".join(done.stderr.split())
    assert (leaf.kind, leaf.actor.role) == (RecordKind.OFFICER_EXPORT, "operator")
    assert leaf.subject == record.subject
    assert not is_told(repr((record, leaf)) + told + done.stderr)
    policy = alone.parse_policy((home / "keys" / "audit-policy").read_bytes())
    key = alone.parse_key((home / "keys" / "exporter.vkey").read_text().strip(), b"\x01")
    assert alone.verify_bundle(by_officer, policy, key)["records"] == 2
    assert alone.verify_bundle(by_operator, policy, key)["records"] == 0


def test_a_large_bundle_takes_an_order_of_two(place: OfficersPlace, tmp_path: Path) -> None:
    bundle, file = tmp_path / "large.zip", str(tmp_path / "order.json")
    settings = place.bus.stack.folder.processes / "officers.json"
    before = read_json(settings)
    write_json(settings, {**before, "export_alone_max": 1})
    officer = ("--as", "officer", "--name", INSPECTOR, "--purpose", "oversight.complaint")
    with place.serving():
        with pytest.raises(Refused, match="export-takes-two"):
            run(place, "export", str(bundle), *officer, "--case", "TT-2026/7", "--pin", "-",
                stdin=LAN.number)  # fmt: skip
        asked_by = ("--export", "-", "--name", INSPECTOR, "--reason", "hồ sơ lớn")
        order(place, "request", file, *asked_by, stdin=json.dumps(ABOUT_LAN))
        with pytest.raises(Refused, match="approval is missing"):
            order(place, "carry-out", file, "--to", str(bundle))
        order(place, "approve", file, "--name", "gs-1")
        told = order(place, "carry-out", file, "--to", str(bundle))
    write_json(settings, before)
    [record] = [r for r in place.records() if r.id in told]
    assert (record.kind, record.rule) == (RecordKind.OFFICER_EXPORT, "two-officials")
    home = place.bus.stack.folder.home
    policy = alone.parse_policy((home / "keys" / "audit-policy").read_bytes())
    key = alone.parse_key((home / "keys" / "exporter.vkey").read_text().strip(), b"\x01")
    assert alone.verify_bundle(bundle, policy, key)["records"] == 2


def test_commands_keep_a_case_that_outlives_the_process(place: OfficersPlace) -> None:
    officer = ("--as", "officer", "--name", INSPECTOR)
    with place.serving() as worker:
        record = place.ask(ABOUT_LAN).json()["rows"][1]["id"]
        case = run(place, "case", "open", *officer, "--text", "-", stdin="Đơn của bà Lan").strip()
        run(place, "case", "assign", case, *officer, "--to", "tt-0043")
        run(place, "case", "link", case, record, *officer)
        run(place, "case", "note", case, *officer, "--text", "đã gọi điện")
        with pytest.raises(Refused, match="record-not-found"):
            run(place, "case", "link", case, "ff" * 16, *officer)
        assert worker.stop() == 0
    with place.serving():
        told = run(place, "case", "close", case, *officer, "--text", "giải quyết xong")
        with pytest.raises(Refused, match="case-is-closed"):
            run(place, "case", "note", case, *officer, "--text", "muộn")
        [kept] = json.loads(run(place, "case", "list", *officer, "--json"))["cases"]
        shown = run(place, "case", "list", *officer)
    assert [act["act"] for act in kept["acts"]] == ["open", "assign", "link", "note", "close"]
    assert (kept["case"], kept["open"], kept["acts"][2]["record"]) == (case, False, record)
    assert f"{INSPECTOR} open: Đơn của bà Lan" in shown
    done = [record for record in place.records() if record.kind is RecordKind.OFFICER_CASE]
    assert {act["record_id"] for act in kept["acts"]} <= {record.id for record in done}
    assert kept["acts"][-1]["record_id"] in told
    assert not is_told(repr(done))


def test_commands_save_a_query_and_run_its_newest_version(place: OfficersPlace) -> None:
    officer = ("--as", "officer", "--name", INSPECTOR)
    why, title = ("--purpose", "oversight.inspection"), ("--title", "Đọc bởi BHXH")
    with place.serving():
        saved = run(place, "saved", "save", *officer, *title, "--agency", "vss", "--flag", "self")
        query, version = saved.split()
        none = json.loads(run(place, "saved", "run", query, *officer, *why, "--json"))
        run(place, "saved", "save", *officer, *title, "--id", query, "--agency", "vss")
        [listed] = json.loads(run(place, "saved", "list", *officer, "--json"))["saved"]
        told = json.loads(run(place, "saved", "run", query, *officer, *why, "--json"))
        shown = run(place, "saved", "run", query, *officer, *why)
        run(place, "saved", "drop", query, *officer)
        with pytest.raises(Refused, match="saved-query-not-found"):
            run(place, "saved", "run", query, *officer, *why)
    assert (version, none["rows"]) == ("1", [])  # nothing was flagged here
    assert (listed["title"], listed["find"], listed["version"]) == (title[1], {"agency": "vss"}, 2)
    assert [row["recipient"] for row in told["rows"]] == ["vss"]
    assert f"version 2 of {query}" in shown
    record = {r.id: r for r in place.records()}[told["receipt"]["record_id"]]
    assert record.req is not None
    assert (record.kind, record.req.id) == (RecordKind.OFFICER_QUERY, f"{query}@2")
