"""The look-ups' process on the real servers: evidence, consents, fences, faults and recovery."""

from __future__ import annotations

import hashlib
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from civicbus_audit.merkle import leaf_hash
from civicbus_consumers.lookup.client import LookupClient, Whom, Why
from civicbus_consumers.lookup.database import make_engine
from civicbus_consumers.lookup.leases import Leases
from civicbus_schemas.page import Position
from civicbus_schemas.topics import AUDIT_PAGE, STATE_CONSENT
from civicbus_schemas.vocabulary import ConsentStatus, Outcome, Reason
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from tests.bus import Bus
from tests.integration.lookup_place import LookupPlace, body, is_told, person
from tests.stack import DEADLINE_S
from tests.unit import lookup_samples as samples
from tests.unit.lookup_samples import BANK, MOJ, asked, verifying

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def place(bus: Bus) -> Iterator[LookupPlace]:
    """A bus of this module's own, since its servers die."""
    made = LookupPlace(bus)
    made.settle(person(), person(pin=samples.MOTHER.number, mother_pin=None))
    with made.running():
        yield made


@pytest.fixture
def served(place: LookupPlace) -> LookupPlace:
    """The same with its process serving."""
    place.serve()
    return place


def test_receipt_names_a_durable_leaf_when_a_lookup_is_answered(served: LookupPlace) -> None:
    answer = served.look_up(asked(fields=["permanent_address", "date_of_birth"]))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["result"]["fields"] == {
        "permanent_address": samples.ADDRESS,
        "date_of_birth": samples.BORN.isoformat(),
    }
    record, leaf = served.records()[told["receipt"]["record_id"]]
    assert leaf_hash(leaf).hex() == told["receipt"]["leaf_hash"]
    assert (record.decision, record.policy) == (Outcome.PERMIT, told["receipt"]["policy_version"])
    assert record.positions.view == 0
    [(header, _, page)] = [entry for entry in served.pages() if leaf in entry[1]]
    assert header.header.process == "lookup"
    assert page.hash == hashlib.sha256(page.header).hexdigest()


def test_bank_learns_yes_or_no_only_while_the_citizen_consents(served: LookupPlace) -> None:
    claims = verifying(full_name=samples.NAME, permanent_address="1 phố Khác")
    given = samples.consent("full_name", "permanent_address")
    served.consent()
    assert served.code(claims, agency=BANK) == Reason.NO_CONSENT
    partition, offset = served.consent(given)
    answer = served.look_up(claims, agency=BANK)
    assert answer.json()["result"]["fields"] == {"full_name": True, "permanent_address": False}
    record, _ = served.records()[answer.json()["receipt"]["record_id"]]
    assert (record.consent, record.positions.consent) == (str(given), offset)
    partition, offset = served.consent(replace(given, status=ConsentStatus.WITHDRAWN, version=2))
    assert served.code(claims, agency=BANK) == Reason.CONSENT_WITHDRAWN
    served.bus.wait(
        lambda: offset <= served.fence_position(partition) < sys.maxsize, "the leases to follow"
    )


def test_everybody_gets_a_record_when_an_answer_names_the_mother(served: LookupPlace) -> None:
    document = asked(purpose="criminal-record.certify", fields=["full_name", "mother_pin"])
    answer = served.look_up(document, agency=MOJ).json()
    assert answer["result"]["fields"]["mother_pin"] == samples.MOTHER.number
    records = served.records()
    [other] = answer["receipt"]["others"]
    first, second = records[answer["receipt"]["record_id"]][0], records[other["record_id"]][0]
    assert (first.fields, second.fields) == (("full_name",), ("mother_pin",))
    assert first.subject != second.subject


def test_agency_reads_and_verifies_when_it_uses_the_client(served: LookupPlace) -> None:
    whom = Whom(full_name=samples.NAME, date_of_birth=samples.BORN, pin=samples.LAN)
    why = Why(officer=samples.OFFICER, purpose="health-insurance.enrol-child", case=samples.CASE)
    with LookupClient.connect("vss", settings=served.bus.connection("vss")) as client:
        read = client.read(whom, ["sex"], why=why)
        verified = client.verify(whom, {"deceased_on": None}, why=why)
        refused = client.read(whom, ["religion"], why=why)
    assert (read.fields, verified.fields) == ({"sex": "female"}, {"deceased_on": True})
    assert (refused.code, refused.fields) == (Reason.FIELD_NOT_IN_AGREEMENT, None)
    assert all(answer.receipt is not None for answer in (read, verified, refused))
    assert not is_told(repr([whom, why, read, verified, refused]))


def test_hostile_text_is_only_text_when_it_reaches_the_database(served: LookupPlace) -> None:
    hostile = "x'; drop table population.person; delete from lookup.lease; --"
    assert served.code(asked(officer=hostile, case=hostile)) == "result"
    assert served.code(asked(full_name=hostile)) == "subject-not-matched"
    assert served.code(asked(pin=samples.NOBODY.number)) == "subject-not-matched"
    assert served.code(asked(fields=[hostile])) == "malformed-request"
    served.consent()
    assert served.code(verifying(full_name=hostile), agency=BANK) == Reason.NO_CONSENT
    assert served.code() == "result"


def test_nothing_is_accepted_when_the_connection_is_misused(served: LookupPlace) -> None:
    for headers in [{"X-Long": "x" * 20_000}, {"Transfer-Encoding": "chunked, chunked"}]:
        try:
            status = httpx.post(served.url + "/v1/lookups", headers=headers, json={}).status_code
        except httpx.TransportError:
            continue  # hung up on
        assert status in {400, 401, 431}
    assert served.code() == "result"


def test_nothing_is_answered_when_the_page_topic_may_not_be_written(served: LookupPlace) -> None:
    everything = AclBindingFilter(
        ResourceType.TOPIC,
        AUDIT_PAGE,
        ResourcePatternType.LITERAL,
        "User:bus-lookup",
        "*",
        AclOperation.WRITE,
        AclPermissionType.ALLOW,
    )
    admin = served.bus.stack.admin()
    for future in admin.delete_acls([everything]).values():
        future.result(DEADLINE_S)
    before = len(served.records())
    codes = set[str]()

    def refused() -> bool:
        answer = served.look_up()
        codes.add(answer.json().get("code", "result"))
        return answer.status_code == 503 and not is_told(body(answer))

    served.bus.wait(refused, "the lost grant to bite")
    assert "cannot-record" in codes
    unrecorded = {served.code() for _ in range(3)}
    assert unrecorded == {"cannot-record"}
    assert len(served.records()) == before + ("result" in codes)
    served.bus.stack.grant("bus-lookup", AclOperation.WRITE, topic=AUDIT_PAGE)
    served.bus.wait(lambda: served.code() == "result", "the grant to be back")


def test_nothing_is_answered_when_the_broker_is_gone_and_all_is_well_when_it_is_back(
    served: LookupPlace,
) -> None:
    assert served.code() == "result"
    served.bus.stack.kill("kafka")
    answer = served.look_up()
    assert answer.status_code == 503
    assert not is_told(body(answer))
    served.bus.stack.start("kafka")
    served.bus.wait(lambda: served.code() == "result", "the broker to be back")


def test_nothing_is_answered_when_the_database_is_gone_and_all_is_well_when_it_is_back(
    served: LookupPlace,
) -> None:
    assert served.code() == "result"
    served.bus.stack.kill("postgres")
    answer = served.look_up()
    assert (answer.status_code, answer.json()["code"]) in [(503, "view-unavailable"),
                                                           (503, "no-lease")]  # fmt: skip
    assert not is_told(body(answer))
    served.bus.stack.start("postgres")
    served.bus.wait(lambda: served.code() == "result", "the database to be back")


def test_fence_passes_without_a_paused_instance_when_its_lease_has_lapsed(
    served: LookupPlace,
) -> None:
    partition, _ = served.consent()
    served.serve().send(signal.SIGSTOP)
    served.lease_for("1 hour")
    _, offset = served.consent()
    assert served.fence_position(partition) < offset
    served.lease_for("1 second")
    served.bus.wait(lambda: served.fence_position(partition) == sys.maxsize, "the lease to lapse")
    served.serve().send(signal.SIGCONT)
    served.bus.wait(lambda: served.code() == "result", "a new lease")
    served.bus.wait(lambda: offset <= served.fence_position(partition) < sys.maxsize, "its row")


def test_fence_waits_for_a_renewal_under_way_when_it_reads_the_leases(place: LookupPlace) -> None:
    engine = make_engine(place.bus.stack.dsn_file("lookup"))
    place.end()  # which gives its lease back
    held = Leases(engine, "test").take([Position(topic=STATE_CONSENT, partition=0, offset=7)])
    found: list[int] = []
    reader = threading.Thread(target=lambda: found.append(place.fence_position(0)))
    with engine.begin() as connection:
        connection.exec_driver_sql("update lookup.lease set expires_at = now()")
        connection.exec_driver_sql(
            "update lookup.lease set expires_at = now() + interval '1 minute'"
        )
        reader.start()
        reader.join(0.3)
    reader.join()
    assert found == [7]
    held.give_back()
    engine.dispose()


def test_successor_closes_the_chain_when_its_predecessor_was_killed(place: LookupPlace) -> None:
    place.end()
    before, worker = len(place.pages()), place.serve()
    answer = place.look_up().json()
    place.bus.wait(lambda: len(place.pages()) == before + 2, "a heartbeat page")
    worker.kill()
    worker = place.serve()
    assert place.code() == "result"
    place.end()
    assert not is_told(worker.log.read_text())
    headers = [header.header for header, _, _ in place.pages()]
    [recorded] = [
        header
        for header, leaves, _ in place.pages()
        if answer["receipt"]["leaf_hash"] in {leaf_hash(leaf).hex() for leaf in leaves}
    ]
    last = headers[-1].recorder
    [first] = [h for h in headers if h.recorder == last and h.sequence == 0]
    assert first.closes is not None
    assert first.closes.recorder == recorded.header.recorder
    assert headers[-1].released is not None  # an orderly end says what was released
