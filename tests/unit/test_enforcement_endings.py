"""Withdrawal notices: once each, after a record, and no position passes one that is untold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from civicbus_audit.fences import examine
from civicbus_consumers.delivery import Position as DeliveryPosition
from civicbus_consumers.delivery import Withdrawn
from civicbus_consumers.enforcement.endings import (
    Ending,
    addressees,
    find_ended,
    hold_back,
)
from civicbus_consumers.enforcement.handler import commit_positions, release_batch
from civicbus_consumers.enforcement.note import FRESH
from civicbus_consumers.enforcement.states import States
from civicbus_consumers.enforcement.telling import AT_ONCE, tell_endings
from civicbus_consumers.reading import DeliveryReader, UndecodableDelivery
from civicbus_producers.testing import UnsafeMemoryRegistry
from civicbus_schemas.codec import frame
from civicbus_schemas.consent import NO_CONSENTS, Consent, SubjectConsents
from civicbus_schemas.envelope import parse_headers
from civicbus_schemas.errors import Fatal, InvalidBytes, Unavailable
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.page import Position
from civicbus_schemas.record import Record
from civicbus_schemas.topics import STATE_CONSENT, STATE_POLICY
from civicbus_schemas.vocabulary import ConsentStatus, Outcome, Reason, RecordKind

from tests.fakes.enforcement import FakeStates, ready
from tests.unit import enforcement_samples as samples

GIVEN = samples.consent()
WITHDRAWN = replace(GIVEN, status=ConsentStatus.WITHDRAWN, version=2)
AT_THE_BANK = "dlv.bank.civil-status.v1"


def ending(offset: int = 7, *, partition: int = 0, **changes: Any) -> Ending:
    return Ending(consent=replace(WITHDRAWN, **changes), partition=partition, offset=offset)


def consents(*held: Consent) -> SubjectConsents:
    return SubjectConsents(held)


# --- what has ended -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (consents(GIVEN), consents(WITHDRAWN), [WITHDRAWN]),
        (NO_CONSENTS, consents(WITHDRAWN), [WITHDRAWN]),
        (consents(WITHDRAWN), consents(WITHDRAWN), []),
        (NO_CONSENTS, consents(GIVEN), []),
        (NO_CONSENTS, consents(replace(WITHDRAWN, fields=frozenset())), []),
        (consents(GIVEN), consents(replace(GIVEN, status=ConsentStatus.PAUSED)), []),
        (
            consents(WITHDRAWN, replace(GIVEN, id="c-2")),
            consents(WITHDRAWN, replace(WITHDRAWN, id="c-2")),
            [replace(WITHDRAWN, id="c-2")],
        ),
    ],
)
def test_consents_have_ended_when_only_the_later_state_says_so(
    before: SubjectConsents, after: SubjectConsents, found: list[Consent]
) -> None:
    assert list(find_ended(before, after)) == found


def test_recipient_is_told_where_it_may_have_got_something() -> None:
    policy = samples.policy()
    [to] = addressees(WITHDRAWN, policy)
    assert (to.topic, to.agreement.recipient) == (AT_THE_BANK, "bank")
    assert addressees(replace(WITHDRAWN, purpose="credit.other"), policy) == ()
    assert addressees(replace(WITHDRAWN, recipient=AgencyId("vss")), policy) == ()


def test_positions_stay_before_the_first_ending_that_is_untold() -> None:
    positions = (
        Position(topic=STATE_POLICY, partition=0, offset=9),
        Position(topic=STATE_CONSENT, partition=0, offset=9),
        Position(topic=STATE_CONSENT, partition=2, offset=9),
    )
    assert hold_back(positions, []) == positions
    held = hold_back(positions, [ending(4), ending(6), ending(12, partition=2)])
    assert [p.offset for p in held] == [9, 4, 9]


# --- what the states tell -------------------------------------------------------------------------


class Message:
    def __init__(self, offset: int, state: SubjectConsents, *, partition: int = 0) -> None:
        self._at, self._value = (partition, offset), frame(7, state.encode())

    def topic(self) -> str:
        return STATE_CONSENT

    def partition(self) -> int:
        return self._at[0]

    def offset(self) -> int:
        return self._at[1]

    def key(self) -> bytes:
        return b"somebody"

    def value(self) -> bytes:
        return self._value


class Tail:
    def __init__(self, *messages: Message) -> None:
        self.messages = list(messages)

    def catch_up(self, apply: Any) -> tuple[Position, ...]:
        for message in self.messages:
            apply(message)
        self.messages = []
        return ()


def states(*messages: Message, told: int = 0) -> States:
    at = [Position(topic=STATE_CONSENT, partition=0, offset=told)]
    made = States(
        Tail(*messages),  # type: ignore[arg-type]
        prepare=lambda _: ready(samples.policy()),
        told=at,
    )
    made._announced = b"a policy"
    made.catch_up()
    return made


def test_a_policy_without_content_does_not_stand_for_the_one_before_it() -> None:
    class Emptied(Message):
        def topic(self) -> str:
            return STATE_POLICY

        def value(self) -> None:  # type: ignore[override]
            return None

    with pytest.raises(InvalidBytes):
        states(Emptied(3, NO_CONSENTS))


def test_ending_is_seen_once_when_the_state_changes_again() -> None:
    other = replace(GIVEN, id="c-2")
    seen = states(
        Message(3, consents(GIVEN)),
        Message(5, consents(WITHDRAWN)),
        Message(6, consents(WITHDRAWN, other)),
    )
    assert seen.untold == [Ending(consent=WITHDRAWN, partition=0, offset=5)]


@pytest.mark.parametrize(("told", "count"), [(5, 1), (6, 0)])
def test_successor_sees_what_its_predecessor_did_not_tell(told: int, count: int) -> None:
    seen = states(Message(3, consents(GIVEN)), Message(5, consents(WITHDRAWN)), told=told)
    assert len(seen.untold) == count


def test_ending_is_seen_when_compaction_has_removed_the_state_before() -> None:
    assert len(states(Message(5, consents(WITHDRAWN)), told=4).untold) == 1


# --- telling --------------------------------------------------------------------------------------


def bench(*endings: Ending) -> Any:
    held = FakeStates(ready(samples.policy()), untold=list(endings), offset=1000)
    return samples.bench(states=held)


def position_of(releases: Any, partition: int) -> int:
    [offset] = [
        p.offset for p in releases.positions if (p.topic, p.partition) == (STATE_CONSENT, partition)
    ]
    return int(offset)


def test_notice_comes_after_its_record_and_with_the_positions() -> None:
    made, journal, log, releases = bench(ending(7))
    assert tell_endings(made, made.states.catch_up(), note=FRESH) == 1
    assert journal.lines == ["page", "begin", f"produce {AT_THE_BANK}", "offsets", "commit"]
    [record] = [Record.decode(leaf) for leaf in log.pages[0].records]
    assert (record.kind, record.recipient) == (RecordKind.WITHDRAWAL_TOLD, "bank")
    assert (record.decision, record.reason) == (Outcome.DENY, Reason.CONSENT_WITHDRAWN)
    assert (record.consent, record.subject, record.positions.consent) == ("c-1@2", None, 1000)
    assert position_of(releases, 0) == 1000
    assert made.states.untold == []
    [(_, note)] = releases.committed
    assert note.page is not None
    assert note.page.hash == log.pages[0].hash == made.recorder.chain.released.hash


def test_notice_holds_no_data_and_names_nobody() -> None:
    made, _, log, releases = bench(ending(7, partition=2))
    tell_endings(made, made.states.catch_up(), note=FRESH)
    [notice] = releases.produced
    [record] = [Record.decode(leaf) for leaf in log.pages[0].records]
    assert (notice.partition, notice.key, notice.value) == (2, None, None)
    envelope = parse_headers(notice.headers)
    assert (envelope.source, envelope.type) == ("/bus", "civil-status.Withdrawn")
    assert envelope.time == GIVEN.since
    assert envelope.ground is not None
    assert (envelope.ground.consent, envelope.ground.record_id) == ("c-1", record.id)
    assert (envelope.ground.agreement, envelope.ground.purpose) == (
        record.agreement,
        "credit.check",
    )


def test_notice_has_the_same_id_when_it_is_told_again() -> None:
    told = []
    for _ in range(2):
        made, _, _, releases = bench(ending(7))
        tell_endings(made, made.states.catch_up(), note=FRESH)
        told.append(parse_headers(releases.produced[0].headers).id)
    made, _, _, releases = bench(ending(7, id="c-2"))
    tell_endings(made, made.states.catch_up(), note=FRESH)
    assert told[0] == told[1] != parse_headers(releases.produced[0].headers).id


def test_recipient_reads_what_it_is_told() -> None:
    made, _, _, releases = bench(ending(7))
    tell_endings(made, made.states.catch_up(), note=FRESH)
    [notice] = releases.produced
    reader = DeliveryReader(UnsafeMemoryRegistry())
    place = DeliveryPosition(AT_THE_BANK, 0, 3)

    def read(*, key: bytes | None = None, value: bytes | None = None) -> Any:
        return reader.read(
            key=key,
            value=value,
            headers=list(notice.headers),
            position=place,
            acknowledgement=lambda: True,
        )

    withdrawn = read()
    assert isinstance(withdrawn, Withdrawn)
    assert (withdrawn.consent, withdrawn.purpose, withdrawn.time) == (
        "c-1",
        "credit.check",
        GIVEN.since,
    )
    assert withdrawn.acknowledge()
    for more in ({"key": b"k"}, {"value": b""}):
        with pytest.raises(UndecodableDelivery):
            read(**more)


@pytest.mark.parametrize("call", ["page", "begin", "produce", "offsets", "commit"])
def test_ending_stays_untold_when_telling_fails(call: str) -> None:
    made, _, log, releases = bench(ending(7))
    if call == "page":
        log.fails = True
    else:
        releases.fails_at = call
    with pytest.raises((Fatal, Unavailable)):
        tell_endings(made, made.states.catch_up(), note=FRESH)
    assert len(made.states.untold) == 1
    assert releases.committed == []


def test_no_position_passes_an_untold_ending_when_others_are_committed() -> None:
    made, _, _, releases = bench(ending(7), ending(9, partition=2))
    release_batch([samples.taken()], made)
    assert (position_of(releases, 0), position_of(releases, 2)) == (7, 9)
    commit_positions(made, made.states.catch_up(), note=FRESH)
    assert (position_of(releases, 0), position_of(releases, 2)) == (7, 9)


def test_the_rest_waits_when_there_are_many_endings() -> None:
    many = [ending(n, id=f"c-{n}") for n in range(AT_ONCE + 3)]
    made, _, log, releases = bench(*many)
    assert tell_endings(made, made.states.catch_up(), note=FRESH) == AT_ONCE
    assert position_of(releases, 0) == AT_ONCE
    assert tell_endings(made, made.states.catch_up(), note=FRESH) == 3
    assert position_of(releases, 0) == 1000
    leaves = [leaf for page in log.pages for leaf in (page.header, *page.records)]
    found = examine(enumerate(leaves))
    assert (found.withdrawn, found.breaches) == (AT_ONCE + 3, ())


def test_positions_pass_without_a_page_when_nobody_is_to_be_told() -> None:
    """A consent for look-ups only."""
    made, journal, _, releases = bench(ending(7, purpose="credit.other"))
    assert tell_endings(made, made.states.catch_up(), note=FRESH) == 0
    assert journal.lines == ["begin", "offsets", "commit"]
    assert position_of(releases, 0) == 1000
