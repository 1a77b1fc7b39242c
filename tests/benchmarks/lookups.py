"""Row 11: one look-up at a time, beside one bare select and one bare durable produce.

`answer` is the product's `answer_batch` on the real view, states and page topic, as the worker
calls it; `http` is the whole service, asked over one connection. Bare and measured take turns.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import httpx
import psycopg
from civicbus_audit.merkle import leaf_hash
from civicbus_consumers.lookup.bench import Bench, Lookup
from civicbus_consumers.lookup.database import PopulationView
from civicbus_consumers.lookup.handler import answer_batch
from civicbus_consumers.lookup.request import parse_request
from civicbus_consumers.lookup.settings import LookupSettings
from civicbus_consumers.lookup.states import STATE_PARTITIONS, States
from civicbus_consumers.lookup.token import Token, make_token
from civicbus_consumers.recording.wiring import open_vault, recorders
from civicbus_consumers.runtime.state import StateTail
from civicbus_consumers.runtime.trust import open_policy
from civicbus_producers.kafka import client_config, consumer_config, producer_config
from civicbus_producers.settings import read_key
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.vocabulary import Outcome
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from tests.benchmarks.checks import require
from tests.bus import Bus
from tests.integration.lookup_place import PATH, LookupPlace, person

VSS = AgencyId("vss")
FIELDS = ["full_name", "permanent_address", "permanent_commune_code"]
COMMUNE = "00070"
PERSONS = 100
BARE = "bench.lookup"
PAGE_BYTES = 1500  # about what the page of one look-up has
_SELECT = "select full_name, permanent_address, permanent_commune_code, batch from"
_SELECT += " population.person, population.state where number = %s"


@dataclass(frozen=True, slots=True)
class Told:
    """What one answer said: whom it was about, the result, and the record on its receipt."""

    n: int
    result: dict[str, Any]
    record_id: str
    leaf_hash: str


def pin_of(n: int) -> str:
    """The number of the n-th person in the view."""
    return f"0011907{n % PERSONS:05}"


def expected(n: int) -> dict[str, Any]:
    """What an answer about the n-th person must say."""
    k = n % PERSONS
    return {
        "mode": "read",
        "fields": {
            "full_name": f"Nguyễn Thử Nghiệm {k}",
            "permanent_address": f"{k} ngõ Thử, Hà Nội",
            "permanent_commune_code": COMMUNE,
        },
    }


def asking(n: int) -> bytes:
    """The request about the n-th person."""
    document = {
        "officer": f"officer-{n % 7}",
        "full_name": expected(n)["fields"]["full_name"],
        "date_of_birth": "1990-04-05",
        "pin": pin_of(n),
        "purpose": "health-insurance.enrol-child",
        "case": f"case-{n}",
        "mode": "read",
        "fields": FIELDS,
    }
    return json.dumps(document).encode()


class LookupBench:
    """A view of invented people on a running bus, and the three ways to ask about them."""

    def __init__(self, bus: Bus) -> None:
        self.place, self._numbers = LookupPlace(bus), count()
        people = [expected(n)["fields"] | {"pin": pin_of(n)} for n in range(PERSONS)]
        self.place.settle(*(person(**values) for values in people))
        bus.stack.create_topics(BARE)
        self._settings = LookupSettings.read(bus.stack.folder.processes / "lookup.json")
        self._key = self.place.key(VSS)
        self.told: list[Told] = []

    def run(self, *, rounds: int, lookups: int) -> dict[str, dict[str, list[float]]]:
        """Seconds of every look-up, by way and path; then all that was said is checked."""
        bare, answer = self._bare(), self._answer()
        taken = {"answer": _turns([bare, answer], rounds=rounds, calls=lookups)}
        with self.place.running(), httpx.Client(base_url=self.place.url, timeout=20) as client:
            self.place.serve()
            http = self._http(client)
            taken["http"] = _turns([bare, http], rounds=rounds, calls=lookups)
        self._check()
        return {way: {"bare": times[0], "ours": times[1]} for way, times in taken.items()}

    def _bare(self) -> Callable[[], float]:
        settings = self._settings
        connection = psycopg.connect(self.place.bus.stack.postgres_dsn, autocommit=True)
        config = producer_config(settings, client_id="bench-bare") | {"linger.ms": 0}
        config |= self.place.bus.stack.client_config()  # the admin, who may write this topic
        producer, value = Producer(config), b"\x00" * PAGE_BYTES

        def ask() -> float:
            n = next(self._numbers)
            begun = time.perf_counter()
            row = connection.execute(_SELECT, [pin_of(n)]).fetchone()
            producer.produce(BARE, value=value)
            left = producer.flush(10)
            spent = time.perf_counter() - begun
            require(row is not None and row[0] == expected(n)["fields"]["full_name"], "bare select")
            require(left == 0, "the bare produce was not acknowledged")
            return spent

        return ask

    def _answer(self) -> Callable[[], float]:
        settings = self._settings
        tail = StateTail(
            Consumer(consumer_config(settings, client_id="bench-state", group=settings.name)),
            AdminClient(client_config(settings, client_id="bench-ends")),
            STATE_PARTITIONS,
        )
        bench = Bench(
            states=States(
                tail, open_policy=partial(open_policy, trust_file=settings.policy_keys_file)
            ),
            view=PopulationView(settings.postgres_dsn_file),
            topic_key=read_key(settings.topic_key_file),
            vault=open_vault(settings),
        )
        recorder = recorders(settings, process=settings.name)(None)

        def ask() -> float:
            n = next(self._numbers)
            body, now = asking(n), int(time.time())
            token = Token(agency=VSS, jti=f"{n:032x}", issued_at=now, expires_at=now + 60)
            begun = time.perf_counter()
            lookup = Lookup(token=token, request=parse_request(body))
            answered = answer_batch([lookup], bench, recorder=recorder)
            spent = time.perf_counter() - begun
            [reply] = answered.replies
            require(reply.result and reply.receipt and answered.page, "a look-up was refused")
            assert reply.result
            assert reply.receipt
            assert answered.page
            recorder.mark_released(answered.page)
            receipt = reply.receipt
            told = Told(n, json.loads(reply.result), receipt.record_id, receipt.leaf_hash)
            self.told.append(told)
            return spent

        return ask

    def _http(self, client: httpx.Client) -> Callable[[], float]:
        def ask() -> float:
            n = next(self._numbers)
            token = make_token(VSS, self._key, now=time.time())
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            body = asking(n)
            begun = time.perf_counter()
            response = client.post(PATH, content=body, headers=headers)
            spent = time.perf_counter() - begun
            require(response.status_code == 200, f"a look-up came to {response.status_code}")
            answer = response.json()
            receipt = answer["receipt"]
            told = Told(n, answer["result"], receipt["record_id"], receipt["leaf_hash"])
            self.told.append(told)
            return spent

        return ask

    def _check(self) -> None:
        records = self.place.records()
        for told in self.told:
            require(told.result == expected(told.n), "an answer said something else")
            require(told.record_id in records, "an answer's record is on no page")
            record, leaf = records[told.record_id]
            require(leaf_hash(leaf).hex() == told.leaf_hash, "a receipt names another leaf")
            require(
                record.decision is Outcome.PERMIT and set(record.fields) == set(FIELDS),
                "a record does not say what was disclosed",
            )
        require(
            len({told.record_id for told in self.told}) == len(self.told), "records are missing"
        )


def _turns(asks: Sequence[Callable[[], float]], *, rounds: int, calls: int) -> list[list[float]]:
    """Every way in turn, round by round; the first calls of each warm up and are not counted."""
    for ask in asks:
        for _ in range(max(5, calls // 10)):
            ask()
    gc.collect()
    times: list[list[float]] = [[] for _ in asks]
    for _ in range(rounds):
        for ask, taken in zip(asks, times, strict=True):
            taken += [ask() for _ in range(calls)]
    return times
