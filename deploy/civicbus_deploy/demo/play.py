"""The whole play: scene, story, traffic, books, checks, totals."""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from importlib.resources import as_file, files
from typing import Any

from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import published, verify_ledger
from civicbus_consumers.population.rebuild import rebuild
from civicbus_consumers.population.settings import PopulationSettings
from civicbus_consumers.runtime.tracing import configure_tracing
from civicbus_producers.registry import Registry
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.topics import CONSENT_FAMILY, delivery_topic
from civicbus_schemas.vocabulary import DECISION_KINDS, Outcome, RecordKind

from civicbus_deploy.demo import access_story, checks, evidence_story, story
from civicbus_deploy.demo.books import Books, Line, read_books, read_topics
from civicbus_deploy.demo.oracle import Oracle
from civicbus_deploy.demo.people import draw_family
from civicbus_deploy.demo.scene import Scene, set_the_scene
from civicbus_deploy.demo.story import Told
from civicbus_deploy.demo.teller import Teller
from civicbus_deploy.demo.traffic import Day, await_rest, publish_day
from civicbus_deploy.embedded import lifecycle
from civicbus_deploy.embedded.pseudonyms import read_keyring
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.simulation import NOTICE, generate


def play(
    folder: StateFolder, *, persons: int, events: int, seed: int, as_json: bool
) -> dict[str, Any]:
    """Play it; the totals, with `checks` by name. The stack stays up only on a terminal."""
    teller = Teller(to_stderr=as_json)
    scene = set_the_scene(folder, teller.narration)
    stays = sys.stdout.isatty() and not as_json
    try:
        totals = _play(scene, teller, persons=persons, events=events, seed=seed)
    finally:
        scene.close()
        if not stays:
            lifecycle.down(folder, say=teller.narration.print)
    _tell_where_to_look(scene, teller, stays=stays)
    return totals


def _play(scene: Scene, teller: Teller, *, persons: int, events: int, seed: int) -> dict[str, Any]:
    configure_tracing("demo", endpoint=_otlp(scene), ratio=0.0)
    teller.say(NOTICE)
    told, family = Told(), draw_family(seed, datetime.now(UTC).date())
    story.tell_birth(scene, teller, told, family=family)
    story.tell_loan(scene, teller, told, citizen=family.mother)
    await_rest(scene, teller)
    access_story.tell_agreement(scene, teller, told, citizen=family.mother)
    access_story.tell_rule(scene, teller, told)
    access_story.tell_one_use(scene, teller, told, family=family)
    access_story.tell_emergency(scene, teller, told, patient=family.mother)
    evidence_story.tell_readers(scene, teller, told, family=family)
    evidence_story.tell_citizen(scene, teller, told, citizen=family.mother)
    evidence_story.tell_cosigning(scene, teller, told)
    evidence_story.tell_proof(scene, teller, told)
    evidence_story.tell_bundle(scene, teller, told, family=family)
    evidence_story.tell_forgery(scene, teller, told)
    emissions = generate(persons, events, seed, policy=scene.policy)
    day = publish_day(scene, teller, emissions, count=events)
    books, sources = _open_books(scene)
    told.checks |= _check(scene, teller, told, books=books, sources=sources)
    totals = _totals(scene, told, books, sources=sources, day=day)
    _tell_totals(teller, totals)
    scene.remember(totals)
    return totals


def _otlp(scene: Scene) -> str | None:
    return PopulationSettings.read(scene.folder.processes / "population.json").otlp_endpoint


def _open_books(scene: Scene) -> tuple[Books, list[Line]]:
    deliveries = [
        delivery_topic(agency.id, family)
        for agency in scene.policy.agencies.values()
        for family in agency.receives
    ]
    books = read_books(scene.reader_config, deliveries)
    sources = [topic.name for topic in scene.policy.source_topics()]
    return books, list(read_topics(scene.reader_config, sources))


def _check(
    scene: Scene, teller: Teller, told: Told, *, books: Books, sources: list[Line]
) -> dict[str, bool]:
    """Every claim of the demo, checked on the books, the ledger and the view."""
    teller.chapter("The checks")
    registry = Registry(scene.connection("moj").registry_url)
    decided = [line for line in sources if f".{CONSENT_FAMILY}." not in line.topic]
    writer = cache(lambda schema_id: json.dumps(registry.get_document(schema_id)))
    by_place = {(line.topic, line.partition, line.offset): line for line in sources}
    with as_file(files("civicbus_schemas.vietnam")) as nation:
        keyring = read_keyring(scene.folder)
        oracle = Oracle(nation, pairwise_key_of=lambda name: keyring[AgencyId(name)].key)
        lost, doubled = checks.find_lost_and_doubled(
            books, decided, policy=scene.policy, oracle=oracle, writer=writer
        )
        unlike = checks.count_unlike_oracle(books, by_place, oracle=oracle, writer=writer)
    unrecorded, early = books.unrecorded(), books.delivered_before_recorded()
    teller.say(f"lost {lost}, duplicated {doubled}, unrecorded {len(unrecorded)}")
    directory, trust = scene.places.directory(), scene.places.trust()
    size = published(directory, trust)[0].size
    log = StoredLog(directory.read, size)
    sealed = {leaf for _, leaf in log.leaves()}
    return {
        "nothing_lost": lost == 0,
        "nothing_duplicated": doubled == 0 and books.repeated == 0,
        "nothing_unrecorded": not unrecorded,
        "recorded_before_delivered": not early,
        "every_record_is_a_leaf": checks.count_unsealed(books, sealed) == 0,
        "nothing_released_after_a_fence": checks.count_after_fence(books, told.withdrawals) == 0,
        "no_record_behind_a_fence_is_older": not checks.count_breaches(
            log.leaves(), told.withdrawals
        ),
        "delivered_bytes_equal_the_oracle": unlike == 0 and bool(books.delivered),
        "view_equals_its_rebuild": _rebuilds(scene),
        "ledger_verifies": verify_ledger(directory, trust).size == size,
    }


def _rebuilds(scene: Scene) -> bool:
    settings = PopulationSettings.read(scene.folder.processes / "population.json")
    return rebuild(settings, progress=lambda _done, _total: None).equal


def _totals(
    scene: Scene, told: Told, books: Books, *, sources: list[Line], day: Day
) -> dict[str, Any]:
    decisions = Counter(r.decision for r in books.records.values() if r.kind in DECISION_KINDS)
    letters = sum(r.kind is RecordKind.DEAD_LETTER for r in books.records.values())
    size = published(scene.places.directory(), scene.places.trust())[0].size
    return {
        "published": len(sources),
        "permitted": decisions[Outcome.PERMIT],
        "denied": decisions[Outcome.DENY],
        "delivered": len(books.delivered),
        "dead_lettered": letters,
        "lookups": told.lookups,
        "lookups_refused": told.refused,
        "records": len(books.records),
        "leaves": size,
        "checkpoint_size": size,
        "view_persons": scene.count_persons(),
        "checks": told.checks,
        "events_per_second": day.events_per_second,
    }


def _tell_totals(teller: Teller, totals: dict[str, Any]) -> None:
    teller.table(
        ("check", ""),
        [(name, "[green]holds" if ok else "[red]FAILS") for name, ok in totals["checks"].items()],
    )
    teller.chapter("Totals")
    teller.table(
        ("", ""), [(name, f"{n:,}") for name, n in totals.items() if not isinstance(n, dict)]
    )


def _tell_where_to_look(scene: Scene, teller: Teller, *, stays: bool) -> None:
    home = scene.folder.home
    if not stays:
        teller.narration.print(f"the stack is stopped; civicbus up --home {home} starts it again")
        return
    teller.say(f"\nTraces, by event id: {scene.zipkin_url}")
    teller.say(f"Try:  civicbus audit search --decision deny --home {home}")
    teller.say(f"      civicbus status --home {home}")
    teller.say(f"The stack stays up; stop it with: civicbus down --home {home}")
