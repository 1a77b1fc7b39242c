"""An emergency and an investigation on the real servers: reviewed, hidden, counted, opened."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from civicbus_audit.cli import app as audit
from civicbus_audit.index.database import make_engine
from civicbus_audit.index.oversight import count_overdue
from civicbus_consumers.lookup.client import LookupClient, Whom, Why
from civicbus_consumers.lookup.token import make_token
from civicbus_deploy.hindsight.replaying import app as replay
from civicbus_deploy.oversight.cases import app as cases
from civicbus_deploy.oversight.emergencies import app as emergencies
from civicbus_deploy.oversight.orders import app as orders
from civicbus_schemas.errors import BusError, Refused
from civicbus_schemas.ids import AgencyId
from typer.testing import CliRunner

from tests.bus import Bus
from tests.integration.lookup_place import LookupPlace, is_told, person
from tests.stack import Stack
from tests.unit import lookup_samples as samples
from tests.unit.lookup_samples import BANK, asked

pytestmark = pytest.mark.broker

HOSPITAL, POLICE = AgencyId("hospital-cho-ray"), AgencyId("mps")
LEAVES_S = 60.0


@pytest.fixture(scope="module")
def place() -> Iterator[LookupPlace]:
    """A bus with look-ups and sealing, and one woman in its view."""
    stack = Stack(("kafka", "registry", "postgres"))
    try:
        made = LookupPlace(Bus(stack.start()))
        made.settle(person())
        with made.running(), made.bus.running("sealing"):
            made.serve()
            yield made
    finally:
        stack.close()


def run(
    app: typer.Typer, place: LookupPlace, *arguments: str, codes: tuple[int, ...] = (0,)
) -> str:
    """What a command prints."""
    home = str(place.bus.stack.folder.home)
    done = CliRunner().invoke(app, [*arguments, "--home", home], catch_exceptions=False)
    assert done.exit_code in codes, done.output
    return done.output


def listed(place: LookupPlace) -> list[dict[str, Any]]:
    """The emergencies, once the index is there."""
    try:
        told = json.loads(run(emergencies, place, "list", "--json"))
    except BusError:
        return []
    found: list[dict[str, Any]] = told["emergencies"]
    return found


def seen_by_citizen(place: LookupPlace) -> tuple[set[str], int]:
    """Who the woman sees, and how many readings are hidden from her."""
    told = json.loads(run(audit, place, "who-read", samples.LAN.number, "--as-citizen", "--json"))
    return {reading["recipient"] for reading in told["readings"]}, told["hidden"]


def test_emergency_is_listed_until_another_agency_has_reviewed_it(place: LookupPlace) -> None:
    whom = Whom(full_name=samples.NAME, date_of_birth=samples.BORN, pin=samples.LAN)
    why = Why(
        officer="bs-7", purpose="health.emergency-treatment", case="CC-1", break_glass="bất tỉnh"
    )
    connection = place.bus.connection(HOSPITAL)
    with LookupClient.connect(HOSPITAL, settings=connection) as client:
        answer = client.read(whom, ["sex"], why=why)
    assert answer.fields == {"sex": "female"}
    assert answer.receipt is not None
    record = answer.receipt["record_id"]
    place.bus.wait(lambda: bool(listed(place)), "the emergency to be sealed", LEAVES_S)
    [row] = listed(place)
    assert (row["record"], row["agency"], row["review"]) == (record, HOSPITAL, "open")
    engine = make_engine(place.bus.stack.folder.secrets / "postgres-sealing-dsn")
    tomorrow = datetime.now(UTC) + timedelta(hours=25)
    assert (count_overdue(engine, datetime.now(UTC)), count_overdue(engine, tomorrow)) == (0, 1)

    said = ("--verdict", "justified", "--note", "ca cấp cứu có thật", "--officer", "tt-1")
    with pytest.raises(Refused, match="their own"):
        run(emergencies, place, "review", record, *said, "--as", HOSPITAL)
    told = run(emergencies, place, "review", record, *said, "--as", "npd")
    assert "is reviewed: justified" in told
    place.bus.wait(lambda: listed(place)[0]["review"] == "justified", "the review", LEAVES_S)
    assert listed(place)[0]["reviewer"] == "npd"
    assert count_overdue(engine, tomorrow) == 0
    engine.dispose()
    with pytest.raises(Refused, match="reviewed before"):
        run(emergencies, place, "review", record, *said, "--as", "npd")


def test_investigation_is_hidden_and_counted_until_its_case_is_closed(place: LookupPlace) -> None:
    question = asked(purpose="investigation.criminal", case="VA-2026/7")
    assert place.look_up(question, agency=POLICE).status_code == 200
    place.bus.wait(lambda: seen_by_citizen(place)[1] == 1, "the reading to be counted", LEAVES_S)
    assert POLICE not in seen_by_citizen(place)[0]
    for number, agency in (("VA-2026/7", "npd"), ("VA-2026/8", POLICE)):
        with pytest.raises(Refused, match="no such open case"):
            run(cases, place, "close", number, "--as", agency, "--officer", "x")
    run(cases, place, "close", "VA-2026/7", "--as", POLICE, "--officer", "dtv-3")
    place.bus.wait(lambda: seen_by_citizen(place)[1] == 0, "the case to be opened", LEAVES_S)
    assert POLICE in seen_by_citizen(place)[0]
    with pytest.raises(Refused, match="closed before"):
        run(cases, place, "close", "VA-2026/7", "--as", POLICE, "--officer", "dtv-3")


def test_every_decision_is_the_same_when_it_is_replayed(place: LookupPlace) -> None:
    told = json.loads(run(replay, place, "--json"))
    assert told["decisions"] >= 2
    assert told["findings"] == {"same": told["decisions"]}
    assert not is_told(json.dumps(told))


def test_person_is_forgotten_and_every_proof_holds_when_two_officials_order_it(
    place: LookupPlace, tmp_path: Path
) -> None:
    file = str(tmp_path / "order.json")
    asked_by = ("--erase", samples.LAN.number, "--name", "tt-1", "--reason", "Điều 16")
    run(orders, place, "request", file, *asked_by)
    assert samples.LAN.number not in (tmp_path / "order.json").read_text()
    with pytest.raises(Refused, match="approval is no token"):
        run(orders, place, "carry-out", file)
    with pytest.raises(Refused, match="one person"):
        run(orders, place, "approve", file, "--name", "TT-1")
    run(orders, place, "approve", file, "--name", "gs-1")
    assert len(json.loads(run(audit, place, "who-read", samples.LAN.number, "--json"))) >= 2
    assert "erased, in record" in run(orders, place, "carry-out", file)
    assert "knows no such person" in run(audit, place, "who-read", samples.LAN.number)
    with pytest.raises(Refused, match="no person of this name"):
        run(orders, place, "carry-out", file)

    def replayed() -> dict[str, int]:
        told = json.loads(run(replay, place, "--json", codes=(0, 1)))
        found: dict[str, int] = told["findings"]
        return found

    # until the leaf of the erasure is sealed, a destroyed secret is a difference
    place.bus.wait(lambda: "sealed-part-broken" not in replayed(), "the erasure", LEAVES_S)
    assert set(replayed()) == {"sealed-part-erased"}
    assert json.loads(run(audit, place, "verify", "--json"))["holds"]


def test_agency_is_told_why_when_it_asks_the_serving_process(place: LookupPlace) -> None:
    document = {
        "subject": {"type": "agency", "id": "bank"},
        "action": {"name": "verify"},
        "resource": {
            "type": "dataset",
            "id": "population.Person",
            "properties": {"fields": ["marital_status"]},
        },
        "context": {"purpose": samples.CREDIT},
    }
    token = make_token(BANK, place.key(BANK), now=time.time())
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.post(
        f"{place.url}/access/v1/evaluation", json=document, headers=headers, timeout=20
    )
    assert answer.status_code == 200
    assert answer.json()["context"]["reason"] == "no-consent"
