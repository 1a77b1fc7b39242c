"""Killed, repeated, poisoned: the view loses nothing, counts nothing twice, and says nothing."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from civicbus_consumers.population.app import run
from civicbus_consumers.population.database import make_engine, migrate
from civicbus_consumers.population.hashing import view_hash
from civicbus_consumers.population.rules import Persons, fold
from civicbus_consumers.population.store import Batch, ViewStore
from civicbus_consumers.population.tables import CONTRACT
from civicbus_schemas.errors import Stopped, Unavailable
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from sqlalchemy import text

from tests.campaign import Rounds
from tests.fakes.population import BIRTH, CHILD, MOTHER, TYPES, Sample, after, birth, correction
from tests.fakes.population import CORRECTION as CORRECTED
from tests.integration.population_place import PARTITIONS, PopulationPlace, births, end
from tests.integration.test_population_view import FAMILY
from tests.stack import DEADLINE_S, Stack, wait_until

pytestmark = pytest.mark.broker


@pytest.fixture
def place(stack: Stack, tmp_path: Path) -> Iterator[PopulationPlace]:
    made = PopulationPlace.create(stack, tmp_path)
    yield made
    made.close()


@pytest.mark.crash
@pytest.mark.parametrize("step", ["folded", "written", "applied"])
def test_nothing_is_lost_or_counted_twice_when_the_worker_is_killed(
    place: PopulationPlace, step: str, rounds: Rounds
) -> None:
    expected = 0
    for killed in rounds:
        samples = [*births(600), *FAMILY]
        place.deliver(*samples)
        expected += len(samples)
        assert place.start(step=step, skip=killed % 2).wait(DEADLINE_S) == -signal.SIGKILL
    process = place.start()
    place.deliver(*FAMILY)  # else all may be applied before it is there, and can be asked to end
    expected += len(FAMILY)
    wait_until(lambda: place.applied() == expected, what=f"{expected} deliveries")
    assert end(process) == 0
    assert place.applied() == expected
    assert place.query("select count(*) from person where full_name is not null") == [(602,)]


def test_deliveries_are_dropped_unread_when_they_come_again(place: PopulationPlace) -> None:
    place.deliver(*FAMILY)
    with place.working():
        place.wait_applied(len(FAMILY))
    before = place.hash(), place.query("select batch, deliveries from state")
    _rewind(place)
    with place.working():
        place.deliver(Sample(type=BIRTH, datum=birth("001324012377")))
        place.wait_applied(len(FAMILY) + 1)
    assert place.query("select batch, deliveries from state") == [
        (before[1][0][0] + 1, len(FAMILY) + 1)
    ]


def test_all_is_applied_again_when_the_database_was_lost_behind_committed_offsets(
    place: PopulationPlace,
) -> None:
    place.deliver(*FAMILY)
    with place.working():
        place.wait_applied(len(FAMILY))
    before = place.hash()
    with place.engine.begin() as connection:
        connection.execute(text("drop schema population cascade"))
    with place.working():
        place.wait_applied(len(FAMILY))
    assert place.hash() == before


def test_poison_is_set_aside_without_its_contents_when_the_worker_meets_it(
    place: PopulationPlace,
) -> None:
    good, topic = Sample(type=BIRTH, datum=birth()), place.topic(BIRTH)
    id_ = place.schema_ids[BIRTH]
    produce = place.producer.produce
    produce(topic, good.value(id_), partition=0)  # no headers
    produce(topic, None, headers=good.headers(), partition=0)
    produce(topic, good.value(id_)[:-3], headers=good.headers(), partition=0)
    produce(topic, good.value(987_654), headers=good.headers(), partition=0)
    produce(topic, good.value(place.schema_ids[CORRECTED]), headers=good.headers(), partition=0)
    place.deliver(
        Sample(type=BIRTH, datum=birth("not a PIN")),
        Sample(type=BIRTH, datum=birth(name="Không \x00")),
        Sample(type=BIRTH, datum=birth(name="Của Người Khác"), source="hospital-bach-mai"),
        good,
    )
    process = place.start()
    place.wait_applied(9)
    assert end(process) == 0
    assert place.refusals() == [
        *["invalid-event"] * 2,
        *["malformed-bytes"] * 3,
        "malformed-headers",
        "not-the-owner",
        "unknown-schema",
    ]
    child = place.person()
    assert child is not None
    assert child.values["full_name"] == "Nguyễn Minh An"
    for personal in (CHILD, MOTHER, "Nguyễn Minh An", "Không", "Của Người Khác", "Bạch Mai"):
        assert personal not in place.logs()


def test_view_is_the_same_when_batches_are_cut_and_mixed_otherwise(
    place: PopulationPlace,
) -> None:
    """The upsert joins as the fold does: the same deliveries in other batches, in other order."""
    samples = [*FAMILY, *births(30)]
    for n in range(60):
        number = f"0013{n % 7:08d}"
        samples.append(
            Sample(
                type=CORRECTED, datum=correction(number, full_name=f"Tên {n}"), time=after(n % 3)
            )
        )
    hashes = set()
    for seed in range(4):
        chance = random.Random(seed)  # noqa: S311
        mixed = samples + chance.sample(samples, 20)
        chance.shuffle(mixed)
        hashes.add(_applied(place, mixed, size=chance.randint(1, 30), schema=f"population_{seed}"))
    assert len(hashes) == 1


def test_worker_stops_when_another_moves_the_view(place: PopulationPlace) -> None:
    engine = make_engine(place.dsn_file)
    migrate(engine)
    with ViewStore(engine) as one, ViewStore(engine) as other:
        one.apply(_batch([], position=5))
        with pytest.raises(Stopped):
            other.apply(_batch([], position=7))
    engine.dispose()


def test_worker_stops_loudly_and_commits_nothing_when_the_database_is_gone(
    place: PopulationPlace,
) -> None:
    place.deliver(*FAMILY)

    def cut(step: str) -> None:
        if step == "folded":
            with place.engine.begin() as connection:
                connection.execute(
                    text(
                        "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where datname = current_database() and pid <> pg_backend_pid()"
                    )
                )

    with pytest.raises(Unavailable):
        run(place.settings, threading.Event(), on_step=cut)
    assert place.applied() == 0
    with place.working():
        place.wait_applied(len(FAMILY))


def _rewind(place: PopulationPlace) -> None:
    """Commit 0 for every partition, as if Kafka had forgotten what was committed."""
    starts = [
        TopicPartition(place.topic(type_), p, 0) for type_ in TYPES for p in range(PARTITIONS)
    ]
    request = ConsumerGroupTopicPartitions(place.settings.group, list(dict.fromkeys(starts)))
    admin = place.stack.admin()

    def rewound() -> bool:
        answer = admin.alter_consumer_group_offsets([request])[place.settings.group].result(
            DEADLINE_S
        )
        return not any(tp.error for tp in answer.topic_partitions)

    wait_until(rewound, what="the group to be empty")


def _batch(samples: list[Sample], *, position: int) -> Batch:
    persons: Persons = {}
    for sample in samples:
        fold(sample.told(), persons, data=CONTRACT.fields)
    return Batch(
        persons=persons,
        quarantined=(),
        positions={("dlv.npd.civil-status.v1", 0): position},
        deliveries=len(samples),
    )


def _applied(place: PopulationPlace, samples: list[Sample], *, size: int, schema: str) -> str:
    engine = make_engine(place.dsn_file, schema=schema)
    migrate(engine, schema=schema)
    with ViewStore(engine) as store:
        for start in range(0, len(samples), size):
            store.apply(_batch(samples[start : start + size], position=start + 1))
    with engine.connect() as connection:
        found = view_hash(connection)
    engine.dispose()
    return found
