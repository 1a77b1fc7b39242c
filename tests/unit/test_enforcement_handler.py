"""The release step over fakes: what comes before what, and what a fault leaves undone."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from civicbus_consumers.access.limits import Allowances
from civicbus_consumers.enforcement.handler import Step, release_batch
from civicbus_consumers.enforcement.note import FRESH, Coordinates
from civicbus_schemas.agreement import Limits
from civicbus_schemas.codec import unframe
from civicbus_schemas.envelope import parse_headers
from civicbus_schemas.errors import Fatal, Unavailable
from civicbus_schemas.page import HeaderLeaf
from civicbus_schemas.record import Record, commitment
from civicbus_schemas.statement import Standing
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind

from tests.fakes.enforcement import FakeClock, FakeStates, ready
from tests.fakes.vault import opened
from tests.unit import enforcement_samples as samples


def test_page_is_durable_before_anything_is_produced_when_a_batch_is_released() -> None:
    bench, journal, log, _ = samples.bench()
    released = release_batch([samples.taken()], bench)
    assert journal.lines == [
        "page",
        "begin",
        "produce dlv.vss.civil-status.v1",
        "offsets",
        "commit",
    ]
    assert (released.events, released.delivered, released.dead_letters) == (1, 1, 0)
    assert len(log.pages) == 1


@pytest.mark.parametrize("fault", ["fails", "lies"])
def test_nothing_is_produced_when_the_page_is_not_acknowledged(fault: str) -> None:
    bench, journal, log, _ = samples.bench()
    setattr(log, fault, True)
    with pytest.raises(Unavailable):
        release_batch([samples.taken()], bench)
    assert [line for line in journal.lines if line != "page"] == []


def test_recorder_writes_no_more_pages_when_one_was_not_acknowledged() -> None:
    bench, _, log, _ = samples.bench()
    log.fails = True
    with pytest.raises(Unavailable):
        release_batch([samples.taken()], bench)
    log.fails = False
    with pytest.raises(Fatal, match="this recorder has failed"):
        release_batch([samples.taken()], bench)
    assert log.pages == []


def test_nothing_is_recorded_or_produced_when_the_registry_does_not_answer() -> None:
    bench, journal, _, _ = samples.bench()

    def silent(_: int) -> object:
        raise Unavailable("the registry does not answer")

    bench.type_of = silent  # type: ignore[assignment]
    with pytest.raises(Unavailable):
        release_batch([samples.taken()], bench)
    assert journal.lines == []


def test_a_record_is_made_for_every_person_and_every_agreement() -> None:
    bench, _, log, _ = samples.bench()
    release_batch([samples.taken()], bench)
    records = [Record.decode(leaf) for leaf in log.pages[0].records]
    said = [(r.recipient, r.decision, r.reason, r.fields) for r in records]
    assert said == [
        ("vss", Outcome.PERMIT, None, ("child.pin",)),
        ("vss", Outcome.PERMIT, None, ("parents[].pin",)),
        ("vss", Outcome.PERMIT, None, ("parents[].pin",)),
        ("bank", Outcome.DENY, Reason.NO_CONSENT, ("child.pin", "child.full_name")),
    ]
    assert len({r.subject for r in records}) == 3
    assert len({r.id for r in records}) == 4


def test_record_commits_to_the_delivered_bytes_and_to_what_is_sealed() -> None:
    bench, _, log, releases = samples.bench()
    release_batch([samples.taken()], bench)
    page, record = log.pages[0], Record.decode(log.pages[0].records[0])
    _, body = unframe(releases.produced[0].value)
    salt, secret = opened(page.sealed[0], record)
    assert record.payload_hash == hashlib.sha256(salt + body).hexdigest()
    assert record.sealed == commitment(salt, secret)
    assert b'"child.date_of_birth":["2026-11-20"]' in secret


def test_delivery_names_its_ground_and_the_record_of_the_key_subject() -> None:
    bench, _, log, releases = samples.bench()
    release_batch([samples.taken()], bench)
    [delivery] = releases.produced
    envelope = parse_headers(delivery.headers)
    record = Record.decode(log.pages[0].records[0])
    assert envelope.ground is not None
    assert envelope.ground.record_id == record.id
    assert (envelope.ground.purpose, envelope.ground.basis) == (record.purpose, record.basis)
    assert envelope.id != "event-0-0", "a delivery's id must not be the source's"
    assert delivery.key != samples.taken().key, "a delivery's key must not be the source's"


def test_bank_gets_the_event_when_the_citizen_has_consented() -> None:
    states = FakeStates(ready(samples.policy()), samples.consents(samples.consent()))
    bench, _, log, releases = samples.bench(states=states)
    release_batch([samples.taken()], bench)
    assert [m.topic for m in releases.produced] == [
        "dlv.vss.civil-status.v1",
        "dlv.bank.civil-status.v1",
    ]
    bank = Record.decode(log.pages[0].records[-1])
    assert (bank.decision, bank.consent) == (Outcome.PERMIT, "c-1@1")
    grounds = [parse_headers(m.headers).ground for m in releases.produced]
    assert [ground and ground.consent for ground in grounds] == [None, "c-1"]
    assert bank.positions.consent == states.offset


def test_next_page_says_that_the_one_before_was_released() -> None:
    bench, _, log, _ = samples.bench()
    release_batch([samples.taken(0)], bench)
    release_batch([samples.taken(1)], bench)
    first, second = (HeaderLeaf.decode(page.header).header for page in log.pages)
    assert (first.sequence, first.released, first.previous) == (0, None, None)
    assert second.released is not None
    assert second.released.hash == second.previous == log.pages[0].hash


def test_commit_note_names_the_page_it_releases() -> None:
    bench, _, log, releases = samples.bench()
    release_batch([samples.taken(41)], bench)
    [(sources, note)] = releases.committed
    assert list(sources) == [Coordinates("src.moj.civil-status.v1", 0, 42)]
    assert note.page is not None
    assert (note.page.hash, note.attempt) == (log.pages[0].hash, FRESH.attempt)


@pytest.mark.parametrize("call", ["begin", "produce", "offsets", "commit"])
def test_release_is_not_claimed_when_the_transaction_fails(call: str) -> None:
    bench, _, _, releases = samples.bench()
    releases.fails_at = call
    with pytest.raises(Fatal):
        release_batch([samples.taken()], bench)
    assert bench.recorder.chain.released is None


def test_condemned_event_is_set_aside_unread_and_recorded() -> None:
    bench, _, log, releases = samples.bench()
    message = samples.taken(5)
    released = release_batch([message], bench, condemned=message.at)
    [letter] = releases.produced
    assert (released.delivered, released.dead_letters) == (0, 1)
    assert (letter.topic, letter.value) == ("src.moj.civil-status.v1.dlq", message.value)
    record = Record.decode(log.pages[0].records[0])
    assert (record.kind, record.reason) == (RecordKind.DEAD_LETTER, Reason.CRASH_LOOP)


def test_steps_come_in_the_order_of_the_design() -> None:
    bench, _, _, _ = samples.bench()
    steps: list[Step] = []
    release_batch([samples.taken()], bench, on_step=steps.append)
    assert steps == [
        Step.TAKEN,
        Step.DECIDED,
        Step.PAGE_ACKNOWLEDGED,
        Step.PRODUCED,
        Step.OFFSETS_SENT,
        Step.COMMITTED,
    ]


def _first_agreement_with(**changes: Any) -> FakeStates:
    policy = samples.policy()
    first, *others = policy.agreements
    return FakeStates(ready(replace(policy, agreements=(replace(first, **changes), *others))))


def test_nothing_goes_out_and_the_record_says_why_when_an_agreement_is_suspended() -> None:
    bench, _, log, releases = samples.bench(
        states=_first_agreement_with(standing=Standing.SUSPENDED)
    )
    release_batch([samples.taken()], bench)
    assert releases.produced == []
    record = Record.decode(log.pages[0].records[0])
    assert (record.decision, record.reason) == (Outcome.DENY, Reason.AGREEMENT_SUSPENDED)


def test_a_stream_pauses_and_nothing_is_lost_when_a_limit_is_reached() -> None:
    states = _first_agreement_with(limits=Limits(per_second=1))
    bench, journal, log, releases = samples.bench(states=states)
    time = FakeClock()
    bench.clock, bench.allowances = time.clock, Allowances(begun=time.at)
    events = [samples.taken(0), samples.taken(1), samples.taken(2)]

    released = release_batch(events, bench)
    assert (released.events, released.rest, released.page) == (0, tuple(events), None)
    assert 0 < released.wait_s <= 1.0
    assert journal.lines == []

    time.pass_time(released.wait_s)
    released = release_batch(events, bench)
    assert (released.events, released.delivered, released.rest) == (1, 1, tuple(events[1:]))
    assert len(log.pages) == len(releases.committed) == 1
