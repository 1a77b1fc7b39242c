"""What every store of the consent registry does: in memory, and in the real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from civicbus_consumers.access.people import place_of
from civicbus_consumers.consent.registry.acts import Held, Standing
from civicbus_consumers.consent.registry.database import make_engine, migrate
from civicbus_consumers.consent.registry.rows import Place, Proof
from civicbus_consumers.consent.registry.store import RegistryStore
from civicbus_consumers.consent.registry.tables import day_place
from civicbus_consumers.consent.registry.uses import RegistryUses
from civicbus_schemas.consent import Uses
from civicbus_schemas.errors import Retryable
from civicbus_schemas.ids import AgreementRef, EventId, PolicyVersion, RecorderId
from civicbus_schemas.page import PageRef
from civicbus_schemas.vocabulary import ConsentAct, UsePeriod

from tests.fakes.registry import FakeRegistryStore
from tests.stack import Stack
from tests.unit.registry_samples import AGREEMENTS, AT, TERMS

PROOF = Proof(record_id="0f" * 16, leaf_hash="ab" * 32)
PAGE = PageRef(recorder=RecorderId("5a" * 16), sequence=3, hash="cd" * 32)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.broker)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RegistryStore]:
    if request.param == "memory":
        yield FakeRegistryStore()
        return
    stack: Stack = request.getfixturevalue("stack")
    dsn = tmp_path / "dsn"
    dsn.write_text(stack.create_database())
    dsn.chmod(0o600)
    engine = make_engine(dsn)
    migrate(engine)
    migrate(engine)  # harmless when the tables are there
    yield RegistryStore(engine)
    engine.dispose()


def held(**changes: object) -> Held:
    """A consent with everything that one can have."""
    terms = replace(
        TERMS,
        valid_until=AT + timedelta(days=30),
        uses=Uses(count=3, per=UsePeriod.WEEK),
        erase_at=AT + timedelta(days=90),
    )
    values: dict[str, object] = {
        "id": str(uuid4()),
        "version": 1,
        "subject": "ab" * 16,
        "terms": terms,
        "standing": Standing.GIVEN,
        "act": ConsentAct.GIVE,
        "since": AT,
        "answer_by": AT,
        "signer": "cd" * 16,
        "shown": "0" * 64,
    }
    return Held(**values | changes)  # type: ignore[arg-type]


def keep(
    store: RegistryStore, consent: Held, *, told: bool = True, number: bytes | None = None
) -> EventId | None:
    """Save a consent in an entry of its own; the id of its event."""
    event_id = EventId(str(uuid4())) if told else None
    with store.entry(consent.subject) as entry:
        event = (event_id, b"sealed") if event_id else None
        entry.save(consent, proof=PROOF, event=event, number=number)
        entry.remember_released("registry", PAGE)
    return event_id


def test_a_consent_is_found_as_it_was_saved(store: RegistryStore) -> None:
    consent = held()
    keep(store, consent)
    plain = held(terms=TERMS, answer_by=None, signer=None, shown=None, since=AT + timedelta(1))
    keep(store, plain, told=False)
    assert store.find(consent.id) == consent
    assert store.of_subject(consent.subject) == [plain, consent]
    assert store.of_subject("ee" * 16) == []
    with store.entry(consent.subject) as entry:
        assert (entry.find(consent.id), entry.find(str(uuid4()))) == (consent, None)


def test_nothing_is_kept_when_the_entry_fails(store: RegistryStore) -> None:
    consent = held()

    def fail_at_the_end() -> None:
        with store.entry(consent.subject) as entry:
            entry.save(consent, proof=PROOF, event=(EventId(str(uuid4())), b"s"), number=None)
            entry.end(AT)
            entry.remember_released("registry", PAGE)
            raise Retryable("the page was not acknowledged")

    with pytest.raises(Retryable):
        fail_at_the_end()
    assert store.find(consent.id) is None
    assert store.done(consent.id) == []
    assert store.find_released("registry") is None
    with store.entry(consent.subject) as entry:
        assert not entry.is_ended()


def test_a_consent_is_not_overwritten_when_another_person_has_its_id(store: RegistryStore) -> None:
    consent = held()
    keep(store, consent)
    with pytest.raises(Retryable):
        keep(store, replace(consent, subject="ee" * 16))
    assert store.find(consent.id) == consent


def test_released_page_is_the_last_that_was_committed(store: RegistryStore) -> None:
    assert store.find_released("registry") is None
    keep(store, held())
    assert store.find_released("registry") == PAGE
    assert store.find_released("another") is None


def test_a_death_is_remembered_once_and_for_ever(store: RegistryStore) -> None:
    for _ in range(2):
        with store.entry("ab" * 16) as entry:
            entry.end(AT)
    with store.entry("ab" * 16) as entry:
        assert entry.is_ended()
    with store.entry("cd" * 16) as entry:
        assert not entry.is_ended()


def test_events_wait_in_order_as_the_consent_then_stood_until_they_are_published(
    store: RegistryStore,
) -> None:
    given = held()
    later = given.terms.valid_until
    assert later is not None
    renewed = replace(
        given,
        version=2,
        act=ConsentAct.RENEW,
        terms=replace(given.terms, valid_until=later + timedelta(days=9)),
        since=AT + timedelta(days=1),
    )
    ids = [keep(store, given), keep(store, renewed)]
    keep(store, held(act=ConsentAct.REQUEST), told=False)
    with store.publishing() as (pending, connection):
        assert [one.event_id for one in pending] == ids
        assert [one.held for one in pending] == [
            replace(given, signer=renewed.signer), renewed,
        ]  # fmt: skip
        place = Place(topic="src.vneid.consent.v1", partition=4, offset=7)
        store.mark_published(connection, pending[0].number, place)
    done = store.done(given.id)
    assert [(one.act, one.version, one.pending, one.place) for one in done] == [
        (ConsentAct.GIVE, 1, False, place),
        (ConsentAct.RENEW, 2, True, None),
    ]
    with store.publishing() as (pending, _):
        assert [one.event_id for one in pending] == ids[1:]


def test_events_wait_on_when_publishing_fails(store: RegistryStore) -> None:
    id_ = keep(store, held())

    def fail_at_the_end() -> None:
        with store.publishing() as (pending, connection):
            place = Place(topic="t", partition=0, offset=0)
            store.mark_published(connection, pending[0].number, place)
            raise Retryable("the second was not acknowledged")

    with pytest.raises(Retryable):
        fail_at_the_end()
    with store.publishing() as (pending, _):
        assert [one.event_id for one in pending] == [id_]


def test_what_was_signed_for_others_is_found_while_it_stands(store: RegistryStore) -> None:
    consent = held()
    keep(store, consent, number=b"sealed number")
    keep(store, held(signer="ff" * 16), number=b"another's")
    assert store.signed_for_others("cd" * 16) == [(consent, b"sealed number")]
    keep(store, replace(consent, version=2, standing=Standing.WITHDRAWN))
    assert store.signed_for_others("cd" * 16) == []


def test_a_number_is_forgotten_when_its_consent_has_expired(store: RegistryStore) -> None:
    consent = held()
    keep(store, consent, number=b"sealed number")
    end = consent.terms.valid_until
    assert end is not None
    store.forget_numbers(end - timedelta(seconds=1))
    assert store.signed_for_others("cd" * 16) == [(consent, b"sealed number")]
    store.forget_numbers(end)
    assert store.signed_for_others("cd" * 16) == []
    assert store.find(consent.id) == consent


@pytest.mark.broker
def test_places_are_forgotten_when_their_day_is_over(stack: Stack, tmp_path: Path) -> None:
    dsn_file, day = tmp_path / "dsn", AT + timedelta(days=2)
    dsn_file.write_text(stack.create_database())
    dsn_file.chmod(0o600)
    engine = make_engine(dsn_file)
    migrate(engine)
    people = RegistryUses(dsn_file, table=day_place)
    ref = AgreementRef("vss.limited", 1)
    before, now = (place_of(ref, b"somebody", at, allowed=1) for at in (AT, day))
    assert people.reserve([before, now]) == {before, now}
    other = place_of(ref, b"another", AT, allowed=1)
    RegistryStore(engine).forget_days(AT + timedelta(days=1))
    assert people.reserve([other]) == frozenset()
    RegistryStore(engine).forget_days(day)
    assert people.reserve([other, now]) == {other, now}
    people.close()
    engine.dispose()


def test_data_agreements_get_a_revision_when_they_change(store: RegistryStore) -> None:
    first, *others = AGREEMENTS.values()
    policy = PolicyVersion("a" * 64)
    store.note_agreements([first, *others], policy=policy, at=AT)
    store.note_agreements([first], policy=PolicyVersion("b" * 64), at=AT)
    changed = replace(first, hash="f" * 64, document={"changed": True})
    store.note_agreements([changed], policy=PolicyVersion("c" * 64), at=AT)
    found = store.revisions(first.id)
    assert [(r.revision, r.hash, r.policy) for r in found] == [
        (1, first.hash, policy),
        (2, "f" * 64, "c" * 64),
    ]
    assert found[0].document == first.document
    assert len(store.revisions()) == len(AGREEMENTS) + 1
