"""The consent registry on the real servers: from an act to the fence, and through a crash."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from civicbus_deploy.cli import app
from civicbus_schemas.errors import Refused, Unavailable
from civicbus_schemas.vietnam.events import DeathRegistered
from civicbus_schemas.vocabulary import ConsentStatus, Outcome, RecordKind
from typer.testing import CliRunner

from tests.bus import Bus
from tests.integration.registry_place import (
    CHILD,
    LAN,
    NAME,
    STRANGER,
    RegistryPlace,
    registry_place,
)
from tests.stack import DEADLINE_S
from tests.unit import lookup_samples as samples
from tests.unit.lookup_samples import BANK, verifying

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def place(bus: Bus) -> Iterator[RegistryPlace]:
    with registry_place(bus) as made:
        yield made


def test_a_bank_is_answered_exactly_while_a_consent_stands(place: RegistryPlace) -> None:
    assert place.lookups.code(verifying(), agency=BANK) == "no-consent"
    giving = place.giving()
    given = place.call("give", giving)
    assert given.status == 200, given.document
    assert given.document["consent"]["standing"] == "given"
    place.bus.wait(
        lambda: place.lookups.code(verifying(), agency=BANK) == "result", "the consent to bind"
    )
    withdrawn = place.call("withdraw", place.altering(giving, wait=True))
    assert withdrawn.status == 200, withdrawn.document
    assert withdrawn.document["event"]["topic"] == "src.vneid.consent.v1"
    assert withdrawn.document["fence"]["passed"] is True
    assert place.lookups.code(verifying(), agency=BANK) == "consent-withdrawn"
    id_ = giving["consent_id"]
    assert place.published(id_) == ["consent.ConsentGiven", "consent.ConsentWithdrawn"]
    assert [(r.kind, r.decision, r.consent) for r in place.records(id_)] == [
        (RecordKind.CONSENT_GIVE, Outcome.PERMIT, f"{id_}@1"),
        (RecordKind.CONSENT_WITHDRAW, Outcome.PERMIT, f"{id_}@2"),
    ]
    assert withdrawn.document["receipt"]["record_id"] in place.lookups.records()


@pytest.mark.crash
@pytest.mark.parametrize("step", ["untold", "unmarked"])
def test_a_successor_tells_what_was_committed_and_nothing_counts_twice(
    place: RegistryPlace, step: str
) -> None:
    giving = place.giving()
    id_ = giving["consent_id"]
    place.lookups.end()
    with place.bus.running("lookup", "--die-at", step) as dying:
        place.bus.wait(lambda: place.bus.is_ready("lookup"), "the registry to be ready")
        with pytest.raises(Unavailable):
            place.call("give", giving)
        assert dying.wait() == -signal.SIGKILL
    assert place.published(id_) == ([] if step == "untold" else ["consent.ConsentGiven"])
    place.lookups.serve()
    place.bus.wait(lambda: place.state_of(id_) is not None, "the consent to be told")
    again = place.call("give", giving)
    assert (again.status, again.document["consent"]["version"]) == (200, 1)
    assert set(place.event_ids(id_)) == {place.event_ids(id_)[0]}  # if twice, then under one id
    assert [record.kind for record in place.records(id_)] == [RecordKind.CONSENT_GIVE]
    state = place.state_of(id_)
    assert state is not None
    assert (state.version, state.status) == (1, ConsentStatus.GIVEN)


def test_a_citizen_and_a_bank_do_everything_by_commands(place: RegistryPlace) -> None:
    def run(*words: str) -> dict[str, Any]:
        home = str(place.bus.stack.home)
        ran = CliRunner().invoke(app, ["consent", *words, "--home", home, "--json"])
        assert ran.exit_code == 0, ran.output + repr(ran.exception)
        return dict(json.loads(ran.stdout))

    who = STRANGER.number
    terms = ("--purpose", samples.CREDIT, "--field", NAME)
    person = ("--full-name", "Trần Hoa", "--date-of-birth", samples.BORN.isoformat())
    asked = run("request", who, "--agency", "bank", *terms, *person)["consent"]["consent_id"]
    assert run("refuse", who, asked)["consent"]["standing"] == "refused"
    asked = run("request", who, "--agency", "bank", *terms, *person)["consent"]["consent_id"]
    given = run("give", who, "--recipient", "bank", *terms, "--consent-id", asked, "--uses", "1")
    assert given["consent"]["uses"] == {"count": 1, "per": None}
    assert run("pause", who, asked, "--version", "1")["consent"]["standing"] == "paused"
    assert run("resume", who, asked, "--version", "2")["consent"]["standing"] == "given"
    renewed = run("renew", who, asked, "--version", "3", "--until", "2030-01-01")
    assert renewed["consent"]["valid_until"].startswith(("2029-12-31", "2030-01-01"))
    assert run("withdraw", who, asked, "--wait")["fence"]["passed"] is True
    listed = run("list", who, "--agency", "bank")["consents"]
    assert {one["standing"] for one in listed} == {"refused", "withdrawn"}
    home = ("--home", str(place.bus.stack.home))
    shown = CliRunner().invoke(app, ["consent", "receipt", who, asked, "--lang", "en", *home])
    assert json.loads(shown.stdout)["consent"]["status"] == "withdrawn"
    again = CliRunner().invoke(app, ["consent", "refuse", who, asked, *home])
    assert isinstance(again.exception, Refused)


def test_consents_end_when_a_death_is_delivered(place: RegistryPlace) -> None:
    """Her own, and the one that she signed for her child."""
    own = place.giving()
    terms = {"recipient": "hospital-cho-ray", "purpose": "health.continue-treatment"}
    for_child = place.giving(
        pin=CHILD,
        fields=["health.VisitRecorded:visit.main_diagnosis_code"],
        shown=place.shown(*terms.values()),
        **terms,
    )
    for body in (own, for_child):
        answer = place.call("give", body)
        assert answer.status == 200, answer.document
    with place.bus.publisher("moj") as moj:
        moj.publish(death_of(LAN.number), subject=LAN).wait(DEADLINE_S)
    for body in (own, for_child):
        place.bus.wait(
            lambda id_=body["consent_id"]: is_withdrawn(place, id_), "the consent to end"
        )
    late = place.call("give", place.giving())
    assert late.code == "subject-deceased"
    ended = place.records(for_child["consent_id"])[-1]
    assert (ended.kind, ended.actor.role) == (RecordKind.CONSENT_WITHDRAW, "registry")


def is_withdrawn(place: RegistryPlace, consent_id: str) -> bool:
    """Whether enforcement knows the consent as withdrawn."""
    state = place.state_of(consent_id)
    return state is not None and state.status is ConsentStatus.WITHDRAWN


def death_of(number: str) -> DeathRegistered:
    """A registered death."""
    return DeathRegistered(
        deceased=DeathRegistered.Deceased(
            pin=number,
            date_of_birth=date(1990, 4, 5),
            died_on=date(2026, 11, 20),
            full_name="Nguyễn Thị Lan",
            sex="female",
            place_of_death="SYN",
            death_commune_code="00070",
            cause_code="I21",
        ),
        declarant=DeathRegistered.Declarant(
            pin="001190077777", full_name="Trần Hoa", relation="other"
        ),
        registration_number="SYN-1/2026",
        registry_commune_code="00070",
        registered_at=datetime(2026, 11, 21, 3, tzinfo=UTC),
    )
