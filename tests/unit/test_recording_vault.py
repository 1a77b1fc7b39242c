"""I1 and the vault: what cannot be named is not recorded, and so not released; sealed parts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from civicbus_audit.vault.cached import MAX_AGE_S, CachedVault
from civicbus_consumers.enforcement import deciding
from civicbus_consumers.enforcement.handler import release_batch
from civicbus_consumers.recording.pages import PageBuilder
from civicbus_consumers.recording.records import record_case_closed
from civicbus_consumers.recording.seal import SALT_BYTES, open_part, sealed_under
from civicbus_schemas.errors import EvidenceBroken, Fatal, Unavailable
from civicbus_schemas.ids import AgencyId, RecorderId
from civicbus_schemas.record import Actor, Record, commitment
from civicbus_schemas.subject import case, officer, person

from tests.fakes.vault import FakeVault, opened, secret_of
from tests.unit import enforcement_samples as stream
from tests.unit import lookup_samples as samples
from tests.unit.lookup_office import Office, post
from tests.unit.lookup_samples import VSS
from tests.unit.officers_office import COMPLAINT, history
from tests.unit.officers_office import Office as OfficersOffice

FAULTS = pytest.mark.parametrize("fault", ["fails", "lies"])
CHILD = person(stream.CHILD)


@FAULTS
def test_nothing_of_a_batch_is_recorded_or_released_when_the_vault_is_silent(fault: str) -> None:
    bench, _, log, releases = stream.bench()
    bench.vault = FakeVault(**{fault: True})  # type: ignore[arg-type]
    with pytest.raises(Unavailable, match=r"lost|answer"):
        release_batch([stream.taken()], bench)
    assert (log.pages, releases.produced, releases.committed) == ([], [], [])
    bench.vault = FakeVault()
    assert release_batch([stream.taken()], bench).delivered == 1


def test_vault_is_asked_once_for_the_people_of_many_events(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, _, log, _ = stream.bench()
    bench.vault = vault = FakeVault()
    released = release_batch([stream.taken(offset) for offset in range(5)], bench)
    assert (released.events, len(vault.asked)) == (5, 1)
    assert len(set(vault.asked[0])) == len(vault.asked[0]) == 3
    monkeypatch.setattr(deciding, "READ_AHEAD", 2)
    released = release_batch([stream.taken(offset) for offset in range(5)], bench)
    assert (released.events, len(vault.asked)) == (5, 1 + 3)
    assert len(log.pages[1].records) == len(log.pages[0].records)


@FAULTS
def test_a_lookup_is_not_answered_when_the_vault_is_silent(fault: str) -> None:
    office = Office(vault=FakeVault(**{fault: True}))  # type: ignore[arg-type]
    answer = office.ask(post)
    assert (answer.status_code, answer.json()["code"]) == (503, "cannot-record")
    assert office.records == []


def test_an_officers_question_is_not_read_when_the_vault_is_silent() -> None:
    office = OfficersOffice(history(), vault=FakeVault(fails=True))
    office.shelf.find = None  # type: ignore[assignment,method-assign]
    answer = office.ask(COMPLAINT)
    assert (answer.status_code, answer.json()["code"]) == (503, "cannot-record")
    assert office.pages.pages == []


def test_batches_go_by_the_old_name_until_the_age_and_by_a_new_one_after_an_erasure() -> None:
    """An erasure while a batch is in flight is complete everywhere after the cache's age."""
    now = [0.0]
    vault = FakeVault()
    bench, _, log, _ = stream.bench()
    bench.vault = CachedVault(vault, clock=lambda: now[0])
    names = []
    for offset, moment in enumerate((0.0, MAX_AGE_S - 1, MAX_AGE_S)):
        now[0] = moment
        release_batch([stream.taken(offset)], bench)
        names.append(Record.decode(log.pages[-1].records[0]).subject)
        if not offset:
            assert vault.destroy(secret_of(CHILD).pseudonym)
    assert names[0] == names[1] == secret_of(CHILD).pseudonym
    assert names[2] == secret_of(CHILD, life=1).pseudonym != names[0]


def test_a_record_holds_and_its_part_never_opens_when_the_secret_is_destroyed() -> None:
    bench, _, log, _ = stream.bench()
    bench.vault = vault = FakeVault()
    release_batch([stream.taken()], bench)
    [leaf, *_], [part, *_] = log.pages[0].records, log.pages[0].sealed
    record = Record.decode(leaf)
    salt, plaintext = opened(part, record)
    assert record.sealed == commitment(salt, plaintext)
    vault.destroy(secret_of(CHILD).pseudonym)
    again = vault.get_or_create([CHILD])[CHILD]
    with pytest.raises(EvidenceBroken):
        open_part(part, key=again.sealing_key, id_=record.id)
    assert Record.decode(leaf) == record


def builder() -> PageBuilder:
    return PageBuilder(
        recorder=RecorderId("ab" * 16), sequence=0, at=samples.AT, entropy=lambda n: b"n" * n
    )


def test_a_part_is_sealed_under_its_case_when_the_record_is_about_nobody() -> None:
    page, who, matter = builder(), secret_of(officer(VSS, "lan")), secret_of(case(VSS, "7"))
    stamp = page.stamp()
    actor = Actor(agency=AgencyId("vss"), system="test", officer=who.pseudonym)
    record = record_case_closed(matter.pseudonym, actor=actor, secret=b"lan", stamp=stamp)
    assert sealed_under(record) == matter.pseudonym
    assert sealed_under(replace(record, req=None)) == who.pseudonym
    assert sealed_under(replace(record, req=None, actor=replace(actor, officer=None))) is None
    page.add(record, stamp=stamp, secret=b"lan", under=matter)
    assert open_part(page.sealed[0], key=matter.sealing_key, id_=record.id)[1] == b"lan"


@pytest.mark.parametrize("under", [None, secret_of(case(VSS, "8"))])
def test_nothing_is_added_when_a_part_would_be_open_or_under_another_name(under: object) -> None:
    page, matter = builder(), secret_of(case(VSS, "7"))
    stamp = page.stamp()
    actor = Actor(agency=AgencyId("vss"), system="test")
    record = record_case_closed(matter.pseudonym, actor=actor, secret=b"lan", stamp=stamp)
    with pytest.raises(Fatal, match="another name"):
        page.add(record, stamp=stamp, secret=b"lan", under=under)  # type: ignore[arg-type]
    assert page.leaves == page.sealed == []


def test_a_part_is_the_bare_salt_when_nothing_is_secret() -> None:
    page = builder()
    stamp = page.stamp()
    actor = Actor(agency=AgencyId("vss"), system="test")
    page.add(record_case_closed("7" * 32, actor=actor, secret=b"", stamp=stamp), stamp=stamp)
    assert page.sealed == [stamp.salt]
    assert len(stamp.salt) == SALT_BYTES
