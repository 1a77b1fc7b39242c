"""An emergency and an investigation on the real servers: reviewed, hidden, counted, opened."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from civicbus_audit.cli import app as audit
from civicbus_audit.finding import find_record
from civicbus_audit.index.database import make_engine
from civicbus_audit.index.oversight import count_overdue
from civicbus_audit.places import Places
from civicbus_consumers.lookup.client import LookupClient, Whom, Why
from civicbus_consumers.lookup.token import make_token
from civicbus_consumers.officers.pruning import find_first_kept
from civicbus_consumers.scrubbing.passing import Passed, Sides, scrub
from civicbus_consumers.scrubbing.topic import KafkaPages
from civicbus_consumers.sealing.settings import SealingSettings
from civicbus_deploy.agreements.cli import app as agreements
from civicbus_deploy.embedded.state import read_json, write_json
from civicbus_deploy.hindsight.archive import open_ledger
from civicbus_deploy.hindsight.replaying import app as replay
from civicbus_deploy.oversight import orders as ordering
from civicbus_deploy.oversight.acting import PROCESS
from civicbus_deploy.oversight.cases import app as cases
from civicbus_deploy.oversight.emergencies import app as emergencies
from civicbus_deploy.oversight.orders import app as orders
from civicbus_deploy.oversight.pruning import prune_site
from civicbus_deploy.provisioning.app import Site
from civicbus_deploy.provisioning.recorders import begin_recorder
from civicbus_schemas.errors import BusError, Refused
from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.record import Actor, Record
from civicbus_schemas.vocabulary import Outcome, RecordKind
from typer.testing import CliRunner

from tests.bus import Bus
from tests.integration.lookup_place import LookupPlace, is_told, person
from tests.unit import lookup_samples as samples
from tests.unit.lookup_samples import BANK, asked

pytestmark = pytest.mark.broker

HOSPITAL, POLICE = AgencyId("hospital-cho-ray"), AgencyId("mps")
MAI = Pin("001390054321")
ERASED = "sealed-part-erased"


@pytest.fixture(scope="module")
def place(bus: Bus) -> Iterator[LookupPlace]:
    """A bus with look-ups and sealing, and two women in its view: one is to be forgotten."""
    made = LookupPlace(bus)
    made.settle(person(), person(pin=MAI.number))
    sealing = bus.stack.folder.processes / "sealing.json"
    write_json(sealing, {**read_json(sealing), "commit_every_s": 1})
    with made.running(), made.bus.running("sealing"), made.bus.running("indexing"):
        made.serve()
        yield made


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
    """Who the woman sees, and how many readings are hidden from her; none before the index."""
    try:
        told = run(audit, place, "who-read", samples.LAN.number, "--as-citizen", "--json")
    except BusError:
        return set(), 0
    found = json.loads(told)
    return {reading["recipient"] for reading in found["readings"]}, found["hidden"]


def replayed(place: LookupPlace) -> dict[str, int]:
    """How many decisions there are of each finding; none before the index."""
    try:
        told = json.loads(run(replay, place, "--json", codes=(0, 1)))
    except BusError:
        return {}
    assert not is_told(json.dumps(told))
    found: dict[str, int] = told["findings"]
    assert sum(found.values()) == told["decisions"]
    return found


def read_twice(place: LookupPlace, woman: Pin) -> dict[str, int]:
    """Two look-ups of a woman; what replaying finds once they are sealed."""
    before = sum(replayed(place).values())
    for _ in range(2):
        assert place.look_up(asked(pin=woman.number)).status_code == 200

    def are_sealed() -> bool:
        return sum(replayed(place).values()) == before + 2

    place.bus.wait(are_sealed, "the look-ups to be sealed")
    return replayed(place)


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
    place.bus.wait(lambda: bool(listed(place)), "the emergency to be sealed")
    [row] = listed(place)
    assert (row["record"], row["agency"], row["review"]) == (record, HOSPITAL, "open")
    engine = make_engine(place.bus.stack.folder.secrets / "postgres-indexing-dsn")
    tomorrow = datetime.now(UTC) + timedelta(hours=25)
    assert (count_overdue(engine, datetime.now(UTC)), count_overdue(engine, tomorrow)) == (0, 1)

    said = ("--verdict", "justified", "--note", "ca cấp cứu có thật", "--officer", "tt-1")
    with pytest.raises(Refused, match="their own"):
        run(emergencies, place, "review", record, *said, "--as", HOSPITAL)
    told = run(emergencies, place, "review", record, *said, "--as", "npd")
    assert "is reviewed: justified" in told
    place.bus.wait(lambda: listed(place)[0]["review"] == "justified", "the review")
    assert listed(place)[0]["reviewer"] == "npd"
    assert count_overdue(engine, tomorrow) == 0
    engine.dispose()
    with pytest.raises(Refused, match="reviewed before"):
        run(emergencies, place, "review", record, *said, "--as", "npd")


def test_investigation_is_hidden_and_counted_until_its_case_is_closed(place: LookupPlace) -> None:
    question = asked(purpose="investigation.criminal", case="VA-2026/7")
    assert place.look_up(question, agency=POLICE).status_code == 200
    place.bus.wait(lambda: seen_by_citizen(place)[1] == 1, "the reading to be counted")
    assert POLICE not in seen_by_citizen(place)[0]
    for number, agency in (("VA-2026/7", "npd"), ("VA-2026/8", POLICE)):
        with pytest.raises(Refused, match="no such open case"):
            run(cases, place, "close", number, "--as", agency, "--officer", "x")
    run(cases, place, "close", "VA-2026/7", "--as", POLICE, "--officer", "dtv-3")
    place.bus.wait(lambda: seen_by_citizen(place)[1] == 0, "the case to be opened")
    assert POLICE in seen_by_citizen(place)[0]
    with pytest.raises(Refused, match="closed before"):
        run(cases, place, "close", "VA-2026/7", "--as", POLICE, "--officer", "dtv-3")


def test_every_decision_is_the_same_when_it_is_replayed(place: LookupPlace) -> None:
    erased = replayed(place).get(ERASED, 0)
    found = read_twice(place, samples.LAN)
    assert found.pop(ERASED, 0) == erased
    assert set(found) == {"same"}


def test_person_is_forgotten_and_every_proof_holds_when_two_officials_order_it(
    place: LookupPlace, tmp_path: Path
) -> None:
    before = read_twice(place, MAI)
    file = str(tmp_path / "order.json")
    asked_by = ("--erase", MAI.number, "--name", "tt-1", "--reason", "Điều 16")
    run(orders, place, "request", file, *asked_by)
    assert MAI.number not in (tmp_path / "order.json").read_text()
    with pytest.raises(Refused, match="approval is missing"):
        run(orders, place, "carry-out", file)
    with pytest.raises(Refused, match="one person"):
        run(orders, place, "approve", file, "--name", "TT-1")
    run(orders, place, "approve", file, "--name", "gs-1")
    assert len(json.loads(run(audit, place, "who-read", MAI.number, "--json"))) == 2
    assert "erased, in record" in run(orders, place, "carry-out", file)
    assert "knows no such person" in run(audit, place, "who-read", MAI.number)
    with pytest.raises(Refused, match="no person of this name"):
        run(orders, place, "carry-out", file)
    # until the leaf of the erasure is sealed, a destroyed secret is a difference
    place.bus.wait(lambda: ERASED in replayed(place), "the erasure")
    assert replayed(place) == Counter(before) - Counter(same=2) + Counter({ERASED: 2})
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


def test_what_is_old_is_gone_and_all_else_holds_when_two_officials_order_it(
    place: LookupPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_two_days = datetime.now(UTC) + timedelta(days=2)  # tomorrow may begin within this test
    begins = in_two_days.replace(hour=0, minute=0, second=0, microsecond=0)

    def has_old_bundle() -> bool:
        fill(place, 1)  # which brings the commit, once it is of another second
        log = open_ledger(place.bus.stack.folder)
        return find_first_kept(log, before=begins) is not None

    fill(place, 300)
    place.bus.wait(has_old_bundle, "a commit behind a bundle")
    file = str(tmp_path / "order.json")
    run(orders, place, "request", file, "--name", "tt-1", "--reason", "hết hạn",
        "--prune-before", begins.date().isoformat())  # fmt: skip
    run(orders, place, "approve", file, "--name", "gs-1")
    with pytest.raises(Refused, match="keeps its ledger for 20 years"):
        run(orders, place, "carry-out", file)
    later = datetime.now(UTC) + timedelta(days=21 * 366)
    monkeypatch.setattr(ordering, "prune_site", partial(prune_site, now=later))
    told = run(orders, place, "carry-out", file)
    assert "pruned by leaf" in told
    assert int(told.rpartition(" ")[2]) > 0, "the page topic begins behind what was pruned"
    pruned = json.loads(run(audit, place, "verify", "--json"))["pruned"]
    assert pruned["minimum"] >= 256
    assert "pruned by leaf" in run(orders, place, "carry-out", file), "again does nothing more"
    place.bus.wait(
        lambda: json.loads(run(audit, place, "fsck", "--json", codes=(0, 1)))["holds"],
        "the index to forget",
    )
    assert scrubbed(place).faults == ()
    fill(place, 1)
    assert json.loads(run(audit, place, "verify", "--json"))["size"] > pruned["leaf"]
    read = json.loads(run(audit, place, "who-read", samples.LAN.number, "--json"))
    assert read["pruned"] == pruned["first"]
    told_by = partial(run, codes=(0, 1))  # what fills pages cannot be replayed
    for app, *command in ((audit, "fsck"), (replay,), (agreements, "unused", "--days", "30")):
        told = json.loads(told_by(app, place, *command, "--json"))
        assert told["pruned"] == pruned["first"], command
        assert f"before leaf {pruned['first']}" in told_by(app, place, *command), command


def scrubbed(place: LookupPlace) -> Passed:
    """What topic, ledger, index and those witnesses that answer say of each other."""
    home = place.bus.stack.folder.home
    places = Places.under(home)
    with closing(KafkaPages(SealingSettings.read(home / "processes" / "sealing.json"))) as pages:
        return scrub(
            Sides(
                ledger_dir=places.ledger_dir,
                trust=places.trust(),
                log=places.verifier(),
                dsn_file=places.dsn_file,
                pages=pages,
            )
        )


def fill(place: LookupPlace, count: int) -> None:
    """A page of so many records, once it is sealed."""
    site = Site.open(place.bus.stack.folder.home)
    recorder = begin_recorder(
        PROCESS,
        site.broker.access,
        secrets=site.folder.secrets,
        registry_url=site.addresses.registry_url,
    )
    page = recorder.open_page(datetime.now(UTC))
    for _ in range(count):
        stamp = page.stamp()
        page.add(Record(**stamp.marks(b""), kind=RecordKind.ACCESS_DECISION,
                        actor=Actor(agency=BANK, system="test"), decision=Outcome.DENY),
                 stamp=stamp)  # fmt: skip
    recorder.write(page, policy=None, positions=())

    def is_sealed() -> bool:
        return find_record(open_ledger(site.folder), stamp.id) is not None

    place.bus.wait(is_sealed, "the page to be sealed")
