"""I2: no agreement, no release. What is unknown is refused whole; what is missing stops a group.

The tests stand in the order of a bus's life: the first one needs a bus that never had a policy.
"""

from __future__ import annotations

import shutil
import signal
from itertools import islice
from pathlib import Path

import pytest
from civicbus_consumers.runtime.process import EXIT_STOPPED, EXIT_UNAVAILABLE
from civicbus_deploy.demo.books import Books
from civicbus_deploy.provisioning import provision
from civicbus_deploy.provisioning.documents import InvalidNation
from civicbus_deploy.provisioning.nation import packaged_nation
from civicbus_deploy.simulation import generate
from civicbus_producers.receipt import Published
from civicbus_schemas.topics import GROUPS, STATE_POLICY, enforcement_group
from civicbus_schemas.vietnam.events import VaccinationRecorded
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.bus import Bus
from tests.integration.provisioning_probes import delete_group, ends
from tests.lives import BIRTH_RECIPIENTS, TODAY, birth, card, child_pin
from tests.reconciliation import delivered_count, header_of, read_books
from tests.stack import DEADLINE_S
from tests.subjects import numbers_in, numbers_of_partition

pytestmark = [pytest.mark.broker, pytest.mark.crash]

BIRTHS, CARDS = "src.moj.civil-status.v1", "src.identity.identity.v1"
WITHOUT_AGREEMENT = "src.moh.health.v1"
CRASHES = 4  # three together with others, one alone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A nation's folder to be spoilt."""
    copy = tmp_path / "vietnam"
    shutil.copytree(packaged_nation(), copy, ignore=shutil.ignore_patterns("*.py*", "__pycache__"))
    return copy


def delivery_topics(bus: Bus) -> list[str]:
    """Every delivery topic there is."""
    topics = bus.stack.admin().list_topics(timeout=DEADLINE_S).topics
    return sorted(name for name in topics if name.startswith("dlv."))


def publish_births(bus: Bus, *numbers: int) -> list[Published]:
    """Publish these births and wait until they are durable."""
    with bus.publisher("moj") as publisher:
        receipts = [publisher.publish(birth(n), subject=child_pin(n)) for n in numbers]
        return [receipt.wait(DEADLINE_S) for receipt in receipts]


def settle(bus: Bus, *topics: str) -> Books:
    """Let both groups work on everything, and open the books."""
    bus.settle(*topics)
    return read_books(bus, delivery_topics(bus))


def dead_letters(bus: Bus, source: str, *, committed: bool = True) -> list[Message]:
    """What was set aside of a source topic."""
    return bus.read_all(f"{source}.dlq", committed=committed)


def letters_of(bus: Bus, event: Published, *, committed: bool = True) -> list[Message]:
    """What was set aside of one source message."""
    place = str(event.partition), str(event.offset)
    return [
        letter
        for letter in dead_letters(bus, event.topic, committed=committed)
        if (header_of(letter, "dlq_partition"), header_of(letter, "dlq_offset")) == place
    ]


def record_of_letter(books: Books, event: Published) -> tuple[RecordKind, Outcome, Reason | None]:
    """What the ledger will say about one source message."""
    [record] = [
        r
        for r in books.records.values()
        if r.event is not None
        and (r.event.topic, r.event.partition, r.event.offset)
        == (event.topic, event.partition, event.offset)
    ]
    return record.kind, record.decision, record.reason


# --- what is missing stops ---------------------------------------------------------------------


def test_every_group_stops_when_no_policy_is_announced(bus: Bus) -> None:
    """A bus without a policy set decides nothing: that is no denial, but a stop (exit 75)."""
    _make_empty(bus.stack.admin(), bus, STATE_POLICY)
    for name in map(enforcement_group, range(GROUPS)):
        with bus.running(name) as worker:
            assert worker.wait() == EXIT_STOPPED, worker.log.read_text()[-2000:]
            assert "no policy set is announced" in worker.log.read_text()
    provision(bus.stack.home)
    assert ends(bus.stack, STATE_POLICY) == [1]


def _make_empty(admin: AdminClient, bus: Bus, topic: str) -> None:
    [deleted] = admin.delete_topics([topic]).values()
    deleted.result(DEADLINE_S)
    bus.wait(lambda: topic not in admin.list_topics(timeout=DEADLINE_S).topics, "the topic to go")
    bus.stack.create_topics(topic)


def test_group_stops_when_its_positions_are_missing(bus: Bus) -> None:
    """Where to go on is never guessed: neither the beginning nor the end of a topic will do."""
    consumer = Consumer(bus.stack.client_config(group_id="enforce-1"))
    topics = consumer.list_topics(timeout=DEADLINE_S).topics
    places = [TopicPartition(t, p) for t, m in topics.items() for p in m.partitions]
    known = [tp for tp in consumer.committed(places, timeout=DEADLINE_S) if tp.offset >= 0]
    delete_group(bus.stack, "enforce-1")
    with bus.running("enforce-1") as worker:
        assert worker.wait() == EXIT_STOPPED, worker.log.read_text()[-2000:]
        assert "have no committed offset" in worker.log.read_text()
    consumer.commit(offsets=known, asynchronous=False)
    consumer.close()
    assert provision(bus.stack.home).steps == ()


# --- what is unknown is refused, and the whole set with it -------------------------------------


@pytest.mark.parametrize(
    ("file", "known", "unknown"),
    [
        ("agreements/vss.child-health-insurance.yaml", "only_if:", "only_unless:"),
        ("agreements/vss.child-health-insurance.yaml", "age-under-years", "income-below"),
        ("agreements/vss.child-health-insurance.yaml", "child.full_name", "child.salary"),
        ("agreements/vss.child-health-insurance.yaml", "pairwise-pseudonym", "first-letter"),
        ("agreements/vss.child-health-insurance.yaml", "health-insurance.enrol-child", "x.y"),
        ("agreements/bank.customer-card.yaml", "consent: required", "consent: usually"),
        ("agreements/bank.customer-card.yaml", "consent.data-subject", "law.curiosity"),
        ("agreements/bank.customer-card.yaml", "identity.PinIssued", "identity.PinGuessed"),
        ("agreements/bank.customer-card.yaml", "retention: P5Y", "limits: {per_week: 1}"),
        ("agreements/mps.birth-residence.yaml", "child.sex", "child.ethnicity"),
        ("rules/sensitive.cedar", "forbid (", "permit ("),
        ("rules/persons.cedar", "context.minor", "context.age"),
        ("rules/persons.cedar", '@legalbasis("Law 91/2025;', '@because("Law 91/2025;'),
        ("contracts/identity/PinIssued.avsc", '"owner"', '"owned_by"'),
    ],
)
def test_whole_set_is_refused_and_nothing_changed_when_a_word_in_it_is_unknown(
    bus: Bus, folder: Path, file: str, known: str, unknown: str
) -> None:
    """Nothing is parsed and then ignored, and no agreement goes against a national rule."""
    target = folder / file
    assert known in target.read_text()
    target.write_text(target.read_text().replace(known, unknown))
    with pytest.raises(InvalidNation, match=Path(file).name):
        provision(bus.stack.home, folder)
    assert ends(bus.stack, STATE_POLICY) == [1]


def test_the_set_in_force_is_the_old_one_when_others_were_refused(bus: Bus) -> None:
    """After all the refusals above provisioning finds nothing to do."""
    assert provision(bus.stack.home).steps == ()


# --- what nobody agreed to reaches nobody -------------------------------------------------------


def test_nothing_reaches_a_delivery_topic_when_no_agreement_is_in_force(bus: Bus) -> None:
    """An event that no agreement names; a birth, where one has expired; a card without consent.

    And a card of a child, which a national rule keeps from banks.
    """
    before = len(read_books(bus, delivery_topics(bus)).exposed)
    dose, patient = next(
        (event, pin)
        for _, event, pin in generate(40, 2000, 1)
        if isinstance(event, VaccinationRecorded)
    )
    [n] = islice(numbers_in(bus, 0, start=1000), 1)
    with bus.publisher("moh") as moh, bus.publisher("identity") as identity:
        unnamed = moh.publish(dose, subject=patient).wait(DEADLINE_S)
        unconsented = identity.publish(card(n), subject=child_pin(n)).wait(DEADLINE_S)
        young = card(n, born=TODAY)
        forbidden = identity.publish(young, subject=child_pin(n)).wait(DEADLINE_S)
    [born] = publish_births(bus, n)
    books = settle(bus, BIRTHS, CARDS, WITHOUT_AGREEMENT)
    assert sorted(line.topic for line in books.exposed[before:]) == sorted(
        [*["dlv.npd.identity.v1"] * 2, *(f"dlv.{a}.civil-status.v1" for a in BIRTH_RECIPIENTS)]
    )
    judged = {(r.event.id, r.recipient): r.reason for r in books.records.values() if r.event}
    assert judged[born.event_id, "moh"] == Reason.EXPIRED
    assert judged[unconsented.event_id, "bank"] == Reason.NO_CONSENT
    assert judged[forbidden.event_id, "bank"] == Reason.FORBIDDEN_BY_RULE
    assert {r.rule for r in books.records.values() if r.rule} == {"minors-for-named-purposes-only"}
    assert not any(id_ == unnamed.event_id for id_, _ in judged)
    assert not dead_letters(bus, WITHOUT_AGREEMENT), "it is no error to publish for nobody"


# --- what cannot be read is set aside, and says so -----------------------------------------------


def test_undecodable_message_is_set_aside_with_its_bytes_in_the_transaction_that_passes_it(
    bus: Bus,
) -> None:
    """A dead letter appears if and only if its offset is passed; its record is there before."""
    [n] = islice(numbers_in(bus, 0, start=2000), 1)
    [before] = publish_births(bus, n)
    original = b"\x00\x00\x00\x00\x01" + child_pin(n).number.encode()
    broken = _produce(bus, original, like=before)
    with bus.running("enforce-0", "--die-at", "offsets-sent:1") as worker:
        assert worker.wait() == -signal.SIGKILL
    assert letters_of(bus, broken) == [], "the transaction that held it is gone"
    books = settle(bus, BIRTHS)
    [letter] = letters_of(bus, broken)
    assert len(letters_of(bus, broken, committed=False)) == 2
    assert (letter.value(), letter.key(), letter.partition()) == (original, None, broken.partition)
    assert dict(letter.headers() or []) == {
        "dlq_topic": broken.topic.encode(),
        "dlq_partition": str(broken.partition).encode(),
        "dlq_offset": str(broken.offset).encode(),
        "dlq_reason": Reason.MALFORMED_HEADERS.encode(),
    }
    letters = [
        r
        for r in books.records.values()
        if r.kind is RecordKind.DEAD_LETTER and r.event and r.event.offset == broken.offset
    ]
    assert len(letters) == 2, "each attempt to set it aside was recorded"
    assert delivered_count(books)[before.event_id, "dlv.mps.civil-status.v1"] == 1


def _produce(bus: Bus, value: bytes, *, like: Published) -> Published:
    """Write raw bytes behind an event, past the publishing SDK."""
    written: list[Message] = []
    producer = Producer(bus.stack.client_config())
    producer.produce(
        like.topic, value, partition=like.partition, on_delivery=lambda _, m: written.append(m)
    )
    assert producer.flush(DEADLINE_S) == 0
    return Published(
        event_id=like.event_id,
        topic=like.topic,
        partition=like.partition,
        offset=written[0].offset() or 0,
    )


def test_event_is_set_aside_alone_when_it_has_crashed_its_worker_three_times(bus: Bus) -> None:
    """Three crashes together with its neighbours, one alone; then it is a dead letter, unread.

    All are of one partition: else a life might release what another partition gave first, and then
    it has died at another place than the one before it.
    """
    numbers = list(islice(numbers_of_partition(bus, 0, start=3000), 12))
    events = publish_births(bus, *numbers)
    deadly = events[7]
    for life in range(CRASHES):
        with bus.running("enforce-0", "--die-on", deadly.event_id) as worker:
            assert worker.wait() == -signal.SIGKILL, (life, worker.log.read_text()[-2000:])
    with bus.running("enforce-0", "--die-on", deadly.event_id) as worker:
        bus.wait(lambda: bus.is_drained(BIRTHS), "the fifth life")
        assert worker.stop() == 0, "it lives, though the deadly event is still there to be read"
    books = read_books(bus, delivery_topics(bus))
    counts = delivered_count(books)
    for event in events:
        times = [counts[event.event_id, f"dlv.{a}.civil-status.v1"] for a in BIRTH_RECIPIENTS]
        assert times == [0 if event is deadly else 1] * len(BIRTH_RECIPIENTS)
    assert books.unrecorded() == []
    [letter] = letters_of(bus, deadly)
    assert header_of(letter, "dlq_reason") == Reason.CRASH_LOOP
    assert letter.value() == _source_value(bus, deadly)
    assert record_of_letter(books, deadly) == (
        RecordKind.DEAD_LETTER,
        Outcome.ERROR,
        Reason.CRASH_LOOP,
    )


def _source_value(bus: Bus, event: Published) -> bytes | str | None:
    [message] = [
        m
        for m in bus.read_all(event.topic)
        if (m.partition(), m.offset()) == (event.partition, event.offset)
    ]
    return message.value()


# --- silence is not an answer --------------------------------------------------------------------


def test_partition_waits_without_loss_or_dead_letter_when_the_registry_is_silent(bus: Bus) -> None:
    """A registry that does not answer stops the group (exit 69); a start later goes on there."""
    [odd] = islice(numbers_in(bus, 1, start=4000), 1)
    even = list(islice(numbers_in(bus, 0, start=4000), 3))
    letters = len(dead_letters(bus, BIRTHS))
    with bus.publisher("moj") as publisher:
        # With this one it knows the schema.
        publisher.publish(birth(odd), subject=child_pin(odd)).wait(DEADLINE_S)
        with bus.running("enforce-0", supervised=False) as worker:
            bus.wait(lambda: bus.is_ready("enforce-0"), "the worker")
            bus.stack.stop("registry")
            events = [
                publisher.publish(birth(n), subject=child_pin(n)).wait(DEADLINE_S).event_id
                for n in even
            ]
            assert worker.wait() == EXIT_UNAVAILABLE, worker.log.read_text()[-2000:]
    with bus.running("enforce-0", supervised=False) as worker:
        assert worker.wait() == EXIT_UNAVAILABLE, "nor can it start without"
    assert len(dead_letters(bus, BIRTHS, committed=False)) >= letters
    assert not _delivered(read_books(bus, delivery_topics(bus)), events)
    bus.stack.start("registry")
    books = settle(bus, BIRTHS)
    assert len(dead_letters(bus, BIRTHS)) == letters
    expected = {(id_, f"dlv.{a}.civil-status.v1") for id_ in events for a in BIRTH_RECIPIENTS}
    assert _delivered(books, events) == dict.fromkeys(expected, 1)


def _delivered(books: Books, events: list[str]) -> dict[tuple[str, str], int]:
    return {place: n for place, n in delivered_count(books).items() if place[0] in events}
