"""The registry's routes: what is recorded, done, published and told, in that order."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest
from civicbus_consumers.consent.registry.receipt import SCHEMA_VERSION
from civicbus_schemas.codec import unframe
from civicbus_schemas.ids import Pin
from civicbus_schemas.subject import person
from civicbus_schemas.vietnam.events import EVENT_CLASSES
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind
from prometheus_client import REGISTRY

from tests.fakes.vault import secret_of
from tests.unit import lookup_samples as samples
from tests.unit import registry_samples as acts
from tests.unit.registry_office import NEXT_YEAR, RegistryOffice, altering, asking, giving, signer
from tests.unit.registry_samples import BANK, CHILD, ID, LAN, NAME, STRANGER


def outbox_age_s() -> float:
    """What the process says of the oldest change that waits."""
    age = REGISTRY.get_sample_value("civicbus_consent_outbox_age_seconds")
    assert age is not None
    return age


def told(office: RegistryOffice) -> list[Any]:
    """The published events, decoded, in order of their offsets."""
    events = []
    for message in sorted(office.events, key=lambda m: m.offset):
        class_ = EVENT_CLASSES[dict(message.headers)["ce_type"].decode()]
        events.append(class_.from_datum(class_.contract.avro.decode(unframe(message.value)[1])))
    return events


def test_each_act_is_recorded_done_and_told_when_a_consent_lives() -> None:
    office = RegistryOffice()
    assert office.call("request", asking(), agency=BANK).json()["consent"]["version"] == 0
    given = office.call("give", giving(uses={"count": 3, "per": "month"}))
    assert given.status_code == 200, given.text
    assert given.json()["event"] == {"topic": "src.vneid.consent.v1", "partition": 4, "offset": 0}
    for act, more in (
        ("pause", {"version": 1}),
        ("resume", {"version": 2}),
        ("renew", {"version": 3, "valid_until": NEXT_YEAR, "shown": giving()["shown"]}),
        ("withdraw", {}),
    ):
        answer = office.call(act, altering(**more))
        assert answer.status_code == 200, answer.text
    assert [type(event).__name__ for event in told(office)] == [
        "ConsentGiven", "ConsentChanged", "ConsentChanged", "ConsentChanged", "ConsentWithdrawn",
    ]  # fmt: skip
    changed = told(office)[1:4]
    assert [(e.version, e.status) for e in changed] == [(2, "paused"), (3, "given"), (4, "given")]
    assert changed[2].valid_until is not None
    assert [record.kind.value for record in office.records] == [
        f"consent.{act}" for act in ("request", "give", "pause", "resume", "renew", "withdraw")
    ]
    assert {record.subject for record in office.records} == {secret_of(person(LAN)).pseudonym}
    assert office.records[1].actor.role == "self"
    assert office.records[1].fields == (NAME,)


def test_a_refusal_is_recorded_with_its_reason_and_nothing_is_told() -> None:
    office = RegistryOffice()
    answer = office.call("give", giving(shown="0" * 64))
    assert (answer.status_code, answer.json()["code"]) == (409, "shown-text-outdated")
    (record,) = office.records
    assert (record.kind, record.decision, record.reason) == (
        RecordKind.CONSENT_GIVE,
        Outcome.DENY,
        Reason.TEXT_OUTDATED,
    )
    assert answer.json()["receipt"]["record_id"] == record.id
    assert office.events == []


def test_nothing_is_done_when_the_vault_names_nobody() -> None:
    office = RegistryOffice()
    office.vault.fails = True
    answer = office.call("give", giving())
    assert (answer.status_code, answer.json()["code"]) == (503, "cannot-record")
    assert (office.records, office.events) == ([], [])


def test_nothing_is_done_when_the_record_cannot_be_made_durable() -> None:
    office = RegistryOffice()
    office.pages.fails = True
    answer = office.call("give", giving())
    assert (answer.status_code, answer.json()["code"]) == (503, "cannot-record")
    assert office.store.find(ID) is None
    office.pages.fails = False
    assert office.call("give", giving()).status_code == 200


def test_a_page_is_not_called_released_when_its_change_was_not_committed() -> None:
    office = RegistryOffice()
    office.store.fails_to_commit = True
    assert office.call("give", giving()).json()["code"] == "cannot-decide"
    office.store.fails_to_commit = False
    assert office.call("give", giving()).status_code == 200
    lost, kept = office.pages.pages[:2]
    assert office.store.tables.pages["lookup-consents"].hash == kept.hash != lost.hash


def test_a_change_is_told_later_when_the_broker_is_silent() -> None:
    office = RegistryOffice(silent_broker=True)
    answer = office.call("give", giving())
    assert (answer.status_code, answer.json()["event"]) == (202, None)
    office.silent_broker = False
    again = office.call("give", giving())
    assert again.status_code == 200
    assert len(told(office)) == 1
    assert len(office.records) == 1


@pytest.mark.parametrize("trouble", ["silent_broker", "unknown_schema"])
def test_the_process_is_unready_while_a_change_cannot_be_told(trouble: str) -> None:
    office = RegistryOffice(**{trouble: True})
    assert office.call("give", giving()).status_code == 202
    status, _, why = office.health.answer("/readyz")
    assert (status, why) == (503, b"a change of consents cannot be published\n")
    assert outbox_age_s() > 0
    setattr(office, trouble, False)
    assert office.call("give", giving()).status_code == 200
    assert office.health.answer("/readyz")[0] == 200
    assert outbox_age_s() == 0


def test_the_age_of_the_outbox_is_unknown_before_it_was_looked_into() -> None:
    office = RegistryOffice()
    office.store.fails = True
    office.call("give", giving())
    assert math.isnan(outbox_age_s())


def test_no_number_is_kept_in_the_tables_when_the_bus_was_told() -> None:
    office = RegistryOffice()
    office.call("give", giving())
    assert LAN.number not in repr(office.store.tables)
    assert [change.sealed for change in office.store.tables.changes] == [None]


def test_withdrawal_says_whether_its_fence_has_passed_when_it_is_asked_to_wait() -> None:
    office = RegistryOffice()
    office.call("give", giving())
    answer = office.call("withdraw", altering(wait=True)).json()
    assert answer["fence"] == {"passed": True, "partition": 4, "position": 2, "seconds": 0.01}
    assert office.fence.asked == [("src.vneid.consent.v1", 4, 1)]
    office.fence.overdue = True
    again = office.call("withdraw", altering(wait=True)).json()
    assert again["fence"] == {"passed": False}
    assert len(told(office)) == 2


def test_a_life_ends_with_all_that_was_signed_in_it() -> None:
    office = RegistryOffice()
    own, for_child = giving(), giving(consent_id=acts.ID[:-1] + "2", pin=CHILD.number)
    terms = {"recipient": "hospital-cho-ray", "purpose": "health.continue-treatment"}
    shown = acts.AGREEMENTS[acts.HOSPITAL, terms["purpose"]].hash
    for_child |= terms | {"fields": [acts.DIAGNOSIS], "shown": shown}
    assert office.call("give", own).status_code == 200
    assert office.call("give", for_child).status_code == 200
    with office.working():
        assert office.worker.submit(LAN).result(10) == 2
        assert office.worker.submit(LAN).result(10) == 0
    assert [type(e).__name__ for e in told(office)].count("ConsentWithdrawn") == 2
    assert office.records[-1].actor.role == "registry"
    late = office.call("give", giving(consent_id=acts.ID[:-1] + "3"))
    assert late.json()["code"] == "subject-deceased"


@pytest.mark.parametrize(
    ("body", "hidden"),
    [
        (asking(full_name="Ai Đó"), "subject-not-matched"),
        (asking(pin="001190099999"), "subject-not-matched"),
    ],
)
def test_a_recipient_does_not_learn_whom_a_number_belongs_to(
    body: dict[str, Any], hidden: str
) -> None:
    answer = RegistryOffice().call("request", body, agency=BANK)
    assert (answer.status_code, answer.json()["code"]) == (403, hidden)


def test_a_recipient_is_not_told_that_somebody_died() -> None:
    office = RegistryOffice()
    office.view.persons[LAN] = acts.person(deceased_on=date(2026, 1, 1))
    answer = office.call("request", asking(), agency=BANK)
    assert answer.json()["code"] == "subject-not-matched"
    assert office.records[0].reason is Reason.SUBJECT_DECEASED


def test_a_recipient_sees_its_own_consents_only() -> None:
    office = RegistryOffice()
    office.call("give", giving())
    body = {"pin": LAN.number}
    assert len(office.call("list", body).json()["consents"]) == 1
    assert len(office.call("list", body, agency=BANK).json()["consents"]) == 1
    assert office.call("list", body, agency=samples.VSS).json()["consents"] == []
    question = body | {"purpose": samples.CREDIT, "fields": [NAME]}
    assert office.call("verify", question, agency=BANK).json() == {
        "covered": True, "consent": f"{ID}@1",
    }  # fmt: skip
    assert office.call("verify", question).json()["covered"] is False


@pytest.mark.parametrize("language", ["vi", "en"])
def test_receipt_says_who_may_have_what_for_what_in_the_terms_of_the_standard(
    language: str,
) -> None:
    office = RegistryOffice()
    office.call("give", giving())
    body = {"consent_id": ID, "pin": LAN.number}
    receipt = office.call("receipt", body, **{"Accept-Language": language}).json()
    assert receipt["schema_version"] == SCHEMA_VERSION
    assert receipt["processing"]["personal_data"] == [
        {"name": NAME, "category": "pd:Name", "sensitive": False}
    ]
    assert receipt["processing"]["lawful_basis"][0]["article"] == "Law 91/2025 Art 9"
    assert receipt["consent"]["status"] == "given"
    assert receipt["notice"]["hash"] == giving()["shown"]
    assert receipt["events"][0]["audit_record"]["record_id"] == office.records[0].id
    party = {"vi": "Ngân hàng Sông Xanh (hư cấu)", "en": "Song Xanh Bank (fictional)"}
    assert receipt["pii_controllers"][0]["name"] == party[language]
    assert LAN.number not in str(receipt)


def test_a_receipt_is_not_found_when_the_person_is_another() -> None:
    office = RegistryOffice()
    office.call("give", giving())
    answer = office.call("receipt", {"consent_id": ID, "pin": STRANGER.number})
    assert (answer.status_code, answer.json()["code"]) == (404, "consent-not-found")


def test_data_agreements_are_shown_with_revisions_and_hashes() -> None:
    office = RegistryOffice()
    shown = office.call("data-agreements").json()["data_agreements"]
    ids = {agreement.id for agreement in acts.AGREEMENTS.values()}
    assert {one["id"] for one in shown} == ids
    (bank,) = office.call(f"data-agreements/bank.{samples.CREDIT}").json()["data_agreements"]
    assert (bank["revision"], bank["current"]) == (1, True)
    assert bank["hash"] == giving()["shown"]
    assert office.call("data-agreements/bank.unheard-of").status_code == 404


@pytest.mark.parametrize(
    ("act", "body", "member"),
    [
        ("give", giving(consent_id="1"), "consent_id"),
        ("give", giving(pin="1"), "pin"),
        ("give", giving(fields=[]), "fields"),
        ("give", giving(fields=["full_name"]), "fields"),
        ("give", giving(fields=NAME), "fields"),
        ("give", giving(shown="yes"), "shown"),
        ("give", giving(uses={"count": 0}), "uses"),
        ("give", giving(uses={"count": 1, "per": "century"}), "uses"),
        ("give", giving(valid_until="2027-01-01T00:00:00"), "valid_until"),
        ("give", giving(valid_until=7), "valid_until"),
        ("give", giving(signer={"pin": LAN.number}), "signer"),
        ("give", giving(signer=signer(LAN) | {"eid_level": 3}), "eid_level"),
        ("give", giving(default=True), "body"),
        ("give", altering(), "fields"),
        ("pause", altering(), "version"),
        ("pause", altering(version=True), "version"),
        ("renew", altering(version=1, valid_until=NEXT_YEAR), "shown"),
        ("withdraw", altering(wait="yes"), "wait"),
        ("request", asking(full_name=""), "full_name"),
        ("request", asking(date_of_birth="4/4/1990"), "date_of_birth"),
        ("list", {"pin": LAN.number, "purpose": samples.CREDIT}, "purpose"),
        ("verify", {"pin": LAN.number}, "purpose"),
        ("list", [LAN.number], "body"),
    ],
)
def test_a_malformed_body_is_refused_by_member_and_nothing_is_recorded(
    act: str, body: Any, member: str
) -> None:
    office = RegistryOffice()
    agency = BANK if act == "request" else acts.VNEID
    answer = office.call(act, body, agency=agency)
    assert (answer.status_code, answer.json().get("member")) == (400, member), answer.text
    assert LAN.number not in answer.text
    assert office.records == []


def test_the_level_that_is_needed_is_told_when_the_signer_s_is_too_low() -> None:
    answer = RegistryOffice().call("give", giving(signer=signer(LAN) | {"eid_level": 0}))
    told = answer.json()
    assert (answer.status_code, told["code"], told["eid_level"]) == (403, "eid-level-too-low", 1)


def test_fields_are_named_when_the_agreement_lacks_them() -> None:
    answer = RegistryOffice().call("give", giving(fields=["population.Person:religion"]))
    told = answer.json()
    assert (answer.status_code, told["fields"]) == (403, ["population.Person:religion"])


def test_nothing_is_done_when_the_view_or_the_database_is_silent() -> None:
    office = RegistryOffice()
    office.view.fails = True
    assert office.call("give", giving()).json()["code"] == "view-unavailable"
    office.view.fails, office.store.fails = False, True
    assert office.call("give", giving()).json()["code"] == "cannot-decide"
    assert office.records == []


def test_only_known_acts_have_a_route() -> None:
    assert RegistryOffice().call("approve", giving()).status_code == 404


def test_a_number_is_not_in_what_an_unknown_person_is_told() -> None:
    unknown = Pin("001190099999")
    body = giving(pin=unknown.number, signer=signer(unknown))
    answer = RegistryOffice().call("give", body)
    assert answer.json()["code"] == "subject-not-found"
    assert unknown.number not in answer.text
