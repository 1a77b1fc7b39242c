"""I6: nothing personal stands in keys, headers, logs, spans, metrics or errors; recipients cannot
join what each was given.

One run of all own processes with a synthetic population: published, refused, set aside, looked up,
crashed on. Then everything that is no payload is searched for every personal value there was.
"""

from __future__ import annotations

import json
import signal
import urllib.parse
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest
from civicbus_audit.directory import LedgerDirectory
from civicbus_producers.settings import read_key
from civicbus_schemas import telemetry
from civicbus_schemas.contract import values_at
from civicbus_schemas.errors import BusError
from civicbus_schemas.event import Event
from civicbus_schemas.ids import Pin
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.topics import AUDIT_PAGE
from civicbus_schemas.vietnam.events import BirthRegistered, PinIssued
from confluent_kafka import Message, Producer

from tests.agencies import emissions_of, publish_traced
from tests.bus import Bus, Worker
from tests.fakes.collector import Collector, collecting
from tests.integration.lookup_place import LookupPlace, body
from tests.reconciliation import record_of
from tests.stack import DEADLINE_S
from tests.unit import lookup_samples as samples

pytestmark = [pytest.mark.broker, pytest.mark.crash]

POPULATION = ("population", 40, 400, 7)
PROCESSES = ("consent-0", "consent-1", "enforce-1", "sealing", "population", "lookup")
BIRTHS = "src.moj.civil-status.v1"
OFFICER, CASE = "cb-7731 Phạm Thị Sương", "HS-2026/77310: khai sinh quá hạn"
TELLING = {"pd:OfficialID", "pd:Name", "pd:BirthDate", "pd:BirthPlace", "pd:PhysicalAddress",
           "pd:Identifier", "pd:Insurance", "pd:CriminalConviction", "pd:Intention"}  # fmt: skip
UNIQUE_CHARACTERS = 8
"""Shorter values (a sex, a code) occur everywhere by chance."""


@dataclass(frozen=True)
class Person:
    """Somebody of the population, as an officer would ask for him."""

    pin: Pin
    full_name: str
    born_on: date


@dataclass
class Run:
    """What a whole run left behind: by place, everything in it that is no payload."""

    bus: Bus
    collector: Collector
    places: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    deliveries: list[Message] = field(default_factory=list)
    pins: set[Pin] = field(default_factory=set)
    values: set[str] = field(default_factory=set)

    def look_into(self, place: str, *texts: bytes | str) -> None:
        """Add what was found at a place."""
        self.places[place] += [t.encode() if isinstance(t, str) else t for t in texts]


def personal_values(event: Event) -> Iterator[str]:
    """The values of an event that tell who somebody is, or what became of him."""
    datum = event.to_datum()
    for path, leaf in event.contract.fields.items():
        if leaf.category in TELLING:
            for value in values_at(datum, path):
                text = value.isoformat() if isinstance(value, date) else value
                if isinstance(text, str) and len(text) >= UNIQUE_CHARACTERS:
                    yield text


def forms_of(value: str) -> set[bytes]:
    """A value as it may be written: in UTF-8, in JSON, in a URL, by Python's `ascii`."""
    return {
        value.encode(),
        json.dumps(value)[1:-1].encode(),
        ascii(value)[1:-1].encode(),
        urllib.parse.quote(value).encode(),
        urllib.parse.quote_plus(value).encode(),
    }


def find(values: Iterable[str], places: Mapping[str, list[bytes]]) -> list[tuple[str, str]]:
    """Where a value stands: the place, and what surrounds it."""
    needles = {form for value in values for form in forms_of(value)}
    found: list[tuple[str, str]] = []
    for place, texts in places.items():
        text = b"\n".join(dict.fromkeys(texts))
        hits = [at for needle in needles if (at := text.find(needle)) >= 0]
        found += [(place, repr(text[max(0, at - 60) : at + 60])) for at in hits]
    return found


# --- the run --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(bus: Bus) -> Iterator[Run]:
    """All own processes at work on a population, and on what must not happen."""
    with collecting(bus.stack.ports["otlp"]) as collector:
        run = Run(bus, collector)
        _remember_people(run)
        _work(run)
        _gather(run)
        yield run


def _remember_people(run: Run) -> None:
    for _, event, _ in emissions_of(POPULATION[0], list(POPULATION[1:])):
        run.values |= set(personal_values(event))
        for subject in event.contract.subjects:
            run.pins |= {Pin(n) for n in values_at(event.to_datum(), subject.path) if n}
    run.values |= {OFFICER, CASE, OFFICER.partition(" ")[2], samples.NAME}
    assert len(run.pins) >= POPULATION[1]


def _work(run: Run) -> None:
    """Start everything, let it all happen, and end it in order, so that all spans are exported."""
    bus = run.bus
    with ExitStack() as running:

        def start(name: str, *options: str) -> Worker:
            return running.enter_context(bus.running(name, *options, CIVICBUS_TRACE_RATIO="1"))

        workers = [start(name) for name in PROCESSES]
        doomed = start("enforce-0", "--die-at", "produced:9")
        publish_traced(bus, *POPULATION)
        assert doomed.wait() == -signal.SIGKILL
        _publish_what_is_refused(run)
        _write_what_is_set_aside(run)
        workers.append(start("enforce-0"))
        bus.wait(lambda: bus.is_drained(*_sources(bus)), "enforcement")
        _look_up(run)
        bus.wait(lambda: _metric(bus, "sealing", telemetry.SEALING_BACKLOG) == 0, "sealing")
        for worker in workers:
            run.look_into("metrics", _page(bus, worker.name, "metrics"))
            run.look_into("health", _page(bus, worker.name, "readyz"))
        assert [worker.stop() for worker in workers] == [0] * len(workers)


def _sources(bus: Bus) -> list[str]:
    topics = bus.stack.admin().list_topics(timeout=DEADLINE_S).topics
    sources = (t for t in topics if t.startswith("src.") and not t.endswith(".dlq"))
    return sorted(t for t in sources if ".consent." not in t)


def _page(bus: Bus, process: str, path: str) -> str:
    try:
        port = bus.stack.ports[f"{process}_health"]
        return httpx.get(f"http://127.0.0.1:{port}/{path}", timeout=5).text
    except httpx.TransportError:
        return ""


def _metric(bus: Bus, process: str, name: str) -> float:
    lines = _page(bus, process, "metrics").splitlines()
    return float(next((x.rpartition(" ")[2] for x in lines if x.startswith(name)), "-1"))


def _somebody() -> tuple[Person, BirthRegistered]:
    """The first of the population who has both a number and a birth."""
    issued: dict[str, PinIssued] = {}
    for _, event, pin in emissions_of(POPULATION[0], list(POPULATION[1:])):
        if isinstance(event, PinIssued):
            issued[pin.number] = event
        if isinstance(event, BirthRegistered) and pin.number in issued:
            child = event.child
            return Person(pin, child.full_name, child.date_of_birth), event
    raise AssertionError("nobody was born")


def _publish_what_is_refused(run: Run) -> None:
    """Mistakes of an agency's programmer; what the SDK says of each is kept."""
    person, birth = _somebody()
    somebody_else = Pin(samples.LAN.number)
    with run.bus.publisher("moj") as moj, run.bus.publisher("identity") as identity:
        for mistake in (
            lambda: moj.publish(birth, subject=somebody_else),
            lambda: identity.publish(birth, subject=person.pin),
            lambda: moj.publish(birth, subject=person.pin, event_id=person.full_name),  # type: ignore[arg-type]
            lambda: BirthRegistered.from_datum({"child": {"pin": person.pin.number}}),
            lambda: BirthRegistered.Child.from_datum(
                birth.child.to_datum() | {"date_of_birth": person.full_name}
            ),
            lambda: Pin(person.pin.number + "x"),
        ):
            with pytest.raises(BusError) as caught:
                mistake()
            run.look_into("errors", str(caught.value), repr(caught.value))
    run.look_into("errors", repr(birth), repr(person.pin))


def _write_what_is_set_aside(run: Run) -> None:
    """Messages past the SDK, with personal data in every wrong place of them."""
    person, _ = _somebody()
    number, name = person.pin.number.encode(), person.full_name.encode()
    producer = Producer(run.bus.stack.client_config())
    good = {"ce_specversion": b"1.0", "ce_id": number, "ce_source": b"/agencies/moj",
            "ce_type": b"civil-status.BirthRegistered", "ce_time": b"2026-11-22T00:00:00Z",
            "content-type": b"application/avro"}  # fmt: skip
    for headers, value in (
        ({}, name),
        (good, b"\x00\x00\x00\x00\x01" + name),
        (good | {"ce_type": b"civil-status." + number}, name),
        (good | {"ce_time": name, "traceparent": number}, name),
        (good | {"ce_source": b"/agencies/" + number, "x-name": name}, None),
    ):
        producer.produce(BIRTHS, value, key=number, partition=0, headers=headers)
    assert producer.flush(DEADLINE_S) == 0


def _look_up(run: Run) -> None:
    """Look-ups that are answered and refused; an answer's values alone are payload."""
    place, (person, _) = LookupPlace(run.bus), _somebody()
    about: dict[str, Any] = {
        "officer": OFFICER, "case": CASE, "pin": person.pin.number,
        "full_name": person.full_name, "date_of_birth": person.born_on.isoformat(),
        "fields": ["sex"],
    }  # fmt: skip
    run.bus.wait(lambda: run.bus.is_ready("lookup"), "look-ups to be ready")
    run.bus.wait(lambda: place.code(samples.asked(**about)) == "result", "the view")
    for change, agency in (
        ({}, samples.VSS),
        ({"full_name": samples.NAME}, samples.VSS),
        ({"pin": samples.NOBODY.number}, samples.VSS),
        ({"fields": [person.full_name]}, samples.VSS),
        ({"purpose": person.pin.number}, samples.VSS),
        ({"case": None}, samples.VSS),
        ({"date_of_birth": person.full_name}, samples.VSS),
        ({"fields": None, "mode": "verify", "claims": {"full_name": person.full_name},
          "purpose": samples.CREDIT}, samples.BANK),
    ):  # fmt: skip
        answer = place.look_up(samples.asked(**(about | change)), agency=agency)
        run.look_into("answers", body(answer))
    forged = {"Authorization": f"Bearer {person.pin.number}"}
    run.look_into("answers", body(httpx.post(f"{place.url}/v1/lookups", headers=forged)))
    run.look_into(
        "answers", body(httpx.get(f"{place.url}/v1/{urllib.parse.quote(person.full_name)}"))
    )


def _gather(run: Run) -> None:
    """Read every topic, log, span and ledger file."""
    bus = run.bus
    topics = [t for t in bus.stack.admin().list_topics(timeout=DEADLINE_S).topics if t[0] != "_"]
    for message in bus.read_all(*topics, committed=False):
        topic = message.topic() or ""
        kind = topic.partition(".")[0] + (".dlq" if topic.endswith(".dlq") else "")
        headers = dict(message.headers() or [])
        if kind == "src" and message.key() in {pin.number.encode() for pin in run.pins}:
            continue  # what this test itself wrote past the SDK
        run.look_into(f"{kind} keys", message.key() or b"")
        for name, value in headers.items():
            run.look_into(f"{kind} headers", name, value or b"")
        if kind == "dlv":
            run.deliveries.append(message)
    for log in bus.stack.folder.logs.rglob("*.log"):
        run.look_into("logs", log.read_bytes())
    run.look_into("spans", *run.collector.texts)
    for file in bus.stack.folder.ledger.rglob("*"):
        if file.is_file() and _is_public(file, bus.stack.folder.ledger):
            run.look_into("ledger", file.read_bytes())


def _is_public(file: Path, ledger: Path) -> bool:
    return file.relative_to(ledger).parts[0] in {"checkpoint", "tile"}


# --- the claims -----------------------------------------------------------------------------------


def test_run_was_whole_when_it_is_searched(run: Run) -> None:
    """All that could leak did happen: nothing below is true because there was nothing."""
    assert set(run.places) >= {
        "src keys", "src headers", "dlv keys", "dlv headers", "src.dlq headers", "state keys",
        "logs", "spans", "metrics", "answers", "errors", "ledger",
    }  # fmt: skip
    assert len(run.values) > 150
    assert len(run.deliveries) > 400
    assert len(run.places["answers"]) == 10
    assert {s.name for s in run.collector.spans} >= {
        telemetry.PUBLISH, telemetry.ENFORCE_EVENT, telemetry.RELEASE, telemetry.APPLY_TO_VIEW,
        telemetry.SEAL_PAGE, telemetry.FOLD_CONSENTS, telemetry.LOOK_UP,
    }  # fmt: skip
    assert len(run.bus.read_all(f"{BIRTHS}.dlq")) == 5
    assert len(run.bus.read_all(AUDIT_PAGE)) > 1
    assert LedgerDirectory(run.bus.stack.folder.ledger).read("checkpoint")


def test_no_personal_value_stands_beside_the_payload(run: Run) -> None:
    """Numbers, names, birth dates and places, addresses, papers, the officer and the case."""
    assert find(run.values | {pin.number for pin in run.pins}, run.places) == []


def test_no_topic_pseudonym_is_seen_by_a_recipient_or_an_operator(run: Run) -> None:
    """What joins events on the bus joins nothing outside: deliveries, logs, spans, the ledger."""
    key = read_key(run.bus.stack.folder.secrets / "topic-key")
    pseudonyms = [topic_pseudonym(key, pin) for pin in run.pins]
    outside = {k: texts for k, texts in run.places.items() if not k.startswith(("src ", "state "))}
    outside["dlv values"] = [bytes(message.value() or b"") for message in run.deliveries]
    assert find(pseudonyms, outside) == []
    ledger = b"".join(run.places["ledger"])
    assert not any(bytes.fromhex(pseudonym) in ledger for pseudonym in pseudonyms)
    assert find(pseudonyms, {"src": run.places["src keys"]}), "the control: inside they are keys"


@pytest.mark.parametrize("place", ["dlv keys", "dlv headers", "logs", "spans", "metrics", "ledger"])
def test_value_is_found_when_it_is_planted(run: Run, place: str) -> None:
    """The control: the search finds one value of anybody, in any of the forms it may take."""
    value = max(run.values, key=lambda v: (not v.isascii(), len(v)))
    for form in forms_of(value):
        planted = {place: [*run.places[place], b"x" + form + b"y"]}
        assert [where for where, _ in find([value], planted)] == [place]


def test_recipients_cannot_join_what_each_was_given(run: Run) -> None:
    """Keys, event ids, record ids and traces of different recipients have nothing in common."""
    tokens: dict[str, set[str]] = defaultdict(set)
    for message in run.deliveries:
        headers = {n: bytes(v or b"").decode() for n, v in message.headers() or []}  # type: ignore[arg-type]
        # a notice that a consent has ended has neither key nor trace
        spans = headers["traceparent"].split("-")[1:3] if "traceparent" in headers else []
        recipient = (message.topic() or "").split(".")[1]
        key = bytes(message.key() or b"").decode()  # type: ignore[arg-type]
        tokens[recipient] |= {key, headers["ce_id"], record_of(message), *spans} - {""}
    assert {"vss", "mps", "npd", "moh"} <= set(tokens)
    for one, other in combinations(tokens, 2):
        assert tokens[one].isdisjoint(tokens[other]), (one, other)
