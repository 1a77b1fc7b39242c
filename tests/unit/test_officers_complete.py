"""Proofs that an answer leaves nothing out: for whom, and for which questions."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from civicbus_audit.completeness.asked import Asked
from civicbus_audit.completeness.filing import By
from civicbus_audit.completeness.verifying import verify_complete
from civicbus_audit.ledger import Ledger
from civicbus_audit.places import Places
from civicbus_consumers.officers.reading import IndexShelf
from civicbus_consumers.officers.rules import Role
from civicbus_schemas.vocabulary import RecordKind
from sqlalchemy import create_engine

from tests.unit.completeness_samples import (
    COMMIT,
    LOG,
    ORIGIN,
    investigation,
    person,
    reading,
    sample_log,
)
from tests.unit.lookup_samples import LAN
from tests.unit.officers_office import CASE, COMPLAINT, Office, bearer, case, history, subject

ABOUT_LAN = COMPLAINT | {"find": {"pin": LAN.number}}


def code(answer: Any) -> str:
    text: str = answer.json()["code"]
    return text


def complete(office: Office, document: Any, *, role: Role = Role.OFFICER, **sub: Any) -> Any:
    """Posts an answer's question again, for the proof that nothing is missing."""
    headers = bearer(role, **sub)
    return office.serve(
        lambda client: client.post("/v1/audit/completeness", json=document, headers=headers)
    )


def test_an_answer_about_one_person_is_proved_complete_when_its_asker_was_given_it() -> None:
    office = Office(history())
    since = "2026-11-01T00:00:00+07:00"
    question = ABOUT_LAN | {"find": ABOUT_LAN["find"] | {"since": since}}
    ticket = office.ask(question).json()["complete"]
    asked_before = len(office.records)
    proof = complete(office, question | {"cursor": ticket})
    assert (proof.status_code, proof.text) == (200, "complete\n")
    [asked] = office.shelf.proved
    assert (asked.by, asked.texts, asked.as_citizen) == (By.SUBJECT, (subject(),), False)
    assert asked.since == datetime.fromisoformat(since)
    for document, sub in [
        (question, {}),
        (question | {"cursor": "x" * 32}, {}),
        (ABOUT_LAN | {"cursor": ticket}, {}),
        (question | {"cursor": ticket}, {"sub": "tt-0099"}),
    ]:
        assert code(complete(office, document, **sub)) == "not-shown"
    # the proof that was given is on record, and nothing that was not given
    assert (len(office.shelf.proved), len(office.records)) == (1, asked_before + 1)
    office.shelf.broken = True
    assert code(complete(office, question | {"cursor": ticket})) == "evidence-broken"


def test_every_proof_is_on_record_and_ends_with_its_answer_when_one_ticket_serves_twice() -> None:
    office = Office(history())
    answer = office.ask(ABOUT_LAN).json()
    for _ in range(2):
        complete(office, ABOUT_LAN | {"cursor": answer["complete"]})
    first, *proofs = office.records
    assert len(proofs) == 2
    for record in proofs:
        assert (record.kind, record.subject, record.req and record.req.case) == (
            RecordKind.OFFICER_QUERY,
            subject(),
            case(CASE),
        )
    answered_at = datetime.fromisoformat(answer["receipt"]["recorded_at"])
    assert answered_at == first.at
    assert {asked.until for asked in office.shelf.proved} == {answered_at}


def test_no_proof_is_made_when_it_cannot_be_recorded() -> None:
    office = Office(history())
    ticket = office.ask(ABOUT_LAN).json()["complete"]
    office.vault.fails = True
    assert code(complete(office, ABOUT_LAN | {"cursor": ticket})) == "cannot-record"
    assert office.shelf.proved == []


def test_a_citizen_s_proof_tells_nothing_of_investigations_when_it_is_given() -> None:
    office = Office(history())
    own = {"purpose": "subject.own-data"}
    ticket = office.ask(own, role=Role.CITIZEN).json()["complete"]
    complete(office, own | {"cursor": ticket}, role=Role.CITIZEN)
    [asked] = office.shelf.proved
    assert (asked.texts, asked.as_citizen, asked.since) == ((subject(),), True, None)


@pytest.mark.parametrize(
    ("document", "role"),
    [
        (COMPLAINT, Role.OFFICER),
        (ABOUT_LAN | {"find": {"pin": LAN.number, "agency": "bank"}}, Role.OFFICER),
        (ABOUT_LAN | {"purpose": "oversight.own-agency"}, Role.AUDITOR),
        (ABOUT_LAN | {"purpose": "oversight.supervision"}, Role.SUPERVISOR),
    ],
)
def test_no_proof_is_offered_when_it_would_show_more_than_the_answer(
    document: dict[str, Any], role: Role
) -> None:
    answer = Office(history()).ask(document, role=role)
    assert (answer.status_code, "complete" in answer.json()) == (200, False)


def test_the_shelf_proves_from_the_ledger_and_asks_no_index(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/ledger.vkey").write_text(f"{LOG.verifier}\n")
    leaves = sample_log(reading(1), investigation(1), COMMIT, reading(1)).leaves
    with Ledger.open(tmp_path / "ledger", origin=ORIGIN, signer=LOG) as ledger:
        ledger.append(leaves, [b""] * len(leaves), position=1)
    nowhere = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    shelf = IndexShelf(engine=nowhere, places=Places.under(tmp_path))
    asked = Asked(by=By.SUBJECT, texts=(person(1),), as_citizen=True)
    complete = verify_complete(shelf.prove_complete(asked), LOG.verifier)
    assert [index for index, _ in (*complete.proved, *complete.rescanned)] == [0, 3]
    assert (complete.covered, complete.hidden) == (2, 1)
