"""Consent events become state on the real broker: in order, once, and nothing of them leaks."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from civicbus_consumers.consent.app import run
from civicbus_consumers.consent.changes import ChangeReader
from civicbus_consumers.consent.fence import Fence, Passed
from civicbus_consumers.consent.handler import ConsentFolder
from civicbus_consumers.consent.territory import Territory
from civicbus_producers.registry import Registry
from civicbus_producers.settings import read_key
from civicbus_schemas.codec import SchemaDocument, frame
from civicbus_schemas.consent import SUBJECT_CONSENTS
from civicbus_schemas.errors import Overdue, Stopped, Unavailable
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.topics import SourceTopic, consent_group, enforcement_group
from civicbus_schemas.vocabulary import ConsentStatus
from confluent_kafka import Producer
from confluent_kafka.admin import AclOperation

from tests.integration.consent_place import GIVEN, USER, ConsentPlace, pins
from tests.stack import DEADLINE_S, Stack, wait_until

pytestmark = pytest.mark.broker


@pytest.fixture
def place(stack: Stack, tmp_path: Path) -> Iterator[ConsentPlace]:
    made = ConsentPlace.create(stack, tmp_path)
    yield made
    made.close()


def _folded(place: ConsentPlace) -> None:
    wait_until(place.is_folded, what="both groups to fold all events")


def test_state_holds_all_consents_of_a_subject_when_events_were_folded(
    place: ConsentPlace,
) -> None:
    people = pins(8)
    kept = {pin: place.give(pin) for pin in people}
    ended = {pin: place.give(pin) for pin in people}
    with place.folding():
        _folded(place)
        for pin in people:
            place.withdraw(pin, ended[pin])
        _folded(place)
    states = place.newest()
    for pin in people:
        first, second = states[place.key(pin)].consents
        assert (first.id, first.status, first.version) == (kept[pin], ConsentStatus.GIVEN, 1)
        assert (second.id, second.status, second.version) == (
            ended[pin],
            ConsentStatus.WITHDRAWN,
            2,
        )
    sources = {key: partition for partition, key, _, _ in place.read(place.source.name)}
    assert all(sources[key] == partition for partition, key, _ in place.states())


def test_state_goes_on_from_the_topic_when_the_process_begins_anew(place: ConsentPlace) -> None:
    (pin,) = pins(1)
    first = place.give(pin)
    with place.folding():
        _folded(place)
    second = place.give(pin)
    with place.folding():
        _folded(place)
    assert [c.id for c in place.newest()[place.key(pin)].consents] == [first, second]


def test_nothing_is_written_when_a_withdrawn_consent_is_given_again(place: ConsentPlace) -> None:
    (pin,) = pins(1)
    id_ = place.give(pin)
    with place.folding():
        place.withdraw(pin, id_)
        _folded(place)
        before = len(place.states())
        place.give(pin, id_)
        _folded(place)
    assert len(place.states()) == before
    assert place.newest()[place.key(pin)].consents[0].status is ConsentStatus.WITHDRAWN


def test_message_lies_untouched_in_the_dead_letters_when_it_is_no_consent_event(
    place: ConsentPlace,
) -> None:
    pin, other = pins(2)
    place.give(pin)
    ((partition, key, value, headers),) = place.read(place.source.name)
    producer = Producer(place.stack.client_config())
    foreign = [*headers[:2], ("ce_source", b"/agencies/moj"), *headers[3:]]
    other_type = [*headers[:3], ("ce_type", b"consent.Other"), *headers[4:]]
    registry = Registry(place.stack.registry_url)
    state_schema = registry.get_id(place.state, SUBJECT_CONSENTS.document)  # no contract
    bad = [
        (place.key(other), value, headers, "key-mismatch"),
        (pin.encode(), value, headers, "key-mismatch"),
        (key, value[:-1], headers, "malformed-bytes"),
        (key, frame(state_schema, value[5:]), headers, "unknown-schema"),
        (key, b"not framed", headers, "malformed-bytes"),
        (key, None, headers, "malformed-bytes"),
        (key, value, headers[1:], "malformed-headers"),
        (key, value, foreign, "malformed-headers"),
        (key, value, other_type, "unknown-event-type"),
        (key, value + bytes(300_000), headers, "too-large"),
    ]
    for its_key, its_value, its_headers, _ in bad:
        producer.produce(
            place.source.name, its_value, key=its_key, headers=its_headers, partition=partition
        )
    assert producer.flush(DEADLINE_S) == 0
    with place.folding():
        _folded(place)
    dead = place.read(place.source.dead_letters)
    assert [(p, k, v) for p, k, v, _ in dead] == [(partition, None, v) for _, v, _, _ in bad]
    for offset, ((_, _, _, reason), (_, _, _, found)) in enumerate(zip(bad, dead, strict=True), 1):
        assert dict(found) == {
            "dlq_topic": place.source.name.encode(),
            "dlq_partition": str(partition).encode(),
            "dlq_offset": str(offset).encode(),
            "dlq_reason": reason.encode(),
        }
    assert len(place.states()) == 1


def test_process_stops_when_a_source_partition_has_no_committed_offset(
    place: ConsentPlace,
) -> None:
    never = SourceTopic(AgencyId(f"never-{secrets.token_hex(4)}"), "consent")
    place.stack.create_topics(never.name, partitions=12)
    place.stack.grant(USER, AclOperation.READ, topic=never.name)
    territory = Territory(group=0, sources=(place.source, never), state=place.state)
    with pytest.raises(Stopped, match="no committed offset"):
        run(place.settings(0), threading.Event(), territory=territory)


class Unanswering:
    """A registry that does not answer until it is told to."""

    answers = False

    def get_document(self, schema_id: int) -> SchemaDocument:
        del schema_id
        if not self.answers:
            raise Unavailable("the registry does not answer")
        return GIVEN.contract.document


def test_batch_waits_and_is_folded_once_when_the_registry_answers_again(
    place: ConsentPlace,
) -> None:
    (pin,) = pins(1)
    place.give(pin)
    ((partition, _, _, _),) = place.read(place.source.name)
    registry, group = Unanswering(), partition % 2
    folder = ConsentFolder(
        place.settings(group),
        territory=place.territory(group),
        reader=ChangeReader(registry, topic_key=read_key(place.topic_key_file)),
        schema_id=1,
    )
    folder.open()
    with pytest.raises(Unavailable):
        wait_until(lambda: folder.fold_batch().size > 0, what="the event to be taken")
    with pytest.raises(Unavailable):
        folder.fold_batch()
    assert place.committed(consent_group(group), place.source.name) == dict.fromkeys(
        place.territory(group).partitions, 0
    )
    registry.answers = True
    assert folder.fold_batch().changed == 1
    assert folder.fold_batch().size == 0
    folder.close()
    assert len(place.states()) == 1


def test_fence_passes_only_when_enforcement_has_reached_the_state_of_the_withdrawal(
    place: ConsentPlace,
) -> None:
    (pin,) = pins(1)
    withdrawal = place.withdraw(pin, place.give(pin))
    partition, offset = withdrawal.partition, withdrawal.offset
    fence = Fence(place.settings(0), state=place.state)
    enforcer = enforcement_group(partition % 2)
    place.commit(enforcer, place.state, {partition: 0})

    def ask(timeout_s: float) -> Passed:
        return fence.wait(place.source.name, partition, offset, timeout_s=timeout_s)

    def is_held_up_by(name: str) -> bool:
        with pytest.raises(Overdue) as held_up:
            ask(0.3)
        return name in str(held_up.value)  # else it has not been told yet what it asks first

    def held_up_by(name: str) -> None:
        wait_until(lambda: is_held_up_by(name), what=f"the fence to wait for {name}")

    held_up_by(consent_group(partition % 2))
    with place.folding():
        _folded(place)
        held_up_by(enforcer)
        end = place.ends(place.state)[partition]
        place.commit(enforcer, place.state, {partition: end - 1})
        held_up_by(enforcer)
        place.commit(enforcer, place.state, {partition: end})
        passed = ask(DEADLINE_S)
    assert (passed.partition, passed.position) == (partition, end)
    fence.close()
