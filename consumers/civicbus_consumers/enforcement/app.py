"""Wiring of one enforcement process: settings in, a worker out."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from civicbus_producers.kafka import client_config, consumer_config, producer_config
from civicbus_producers.registry import NotRegistered, Registry
from civicbus_producers.settings import read_key, read_secret
from civicbus_schemas.codec import AvroType, parse_schema
from civicbus_schemas.errors import InvalidContract, Unavailable
from civicbus_schemas.ids import AgencyId, AgreementRef, EventType, family_of, new_recorder_id
from civicbus_schemas.keyring import PairwiseKeys, parse_keyring
from civicbus_schemas.page import PAGE, Position
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.topics import (
    AUDIT_PAGE,
    CONSENT_FAMILY,
    STATE_CONSENT,
    STATE_POLICY,
    SourceTopic,
    enforcement_group,
    partitions_of,
)
from civicbus_schemas.vocabulary import WhenWithheld
from civicbus_schemas.withheld import WITHHELD, notice_type
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from civicbus_consumers.access.limits import Allowances
from civicbus_consumers.access.plan import Plan, compile_plan
from civicbus_consumers.consent.registry.tables import day_place
from civicbus_consumers.consent.registry.uses import RegistryUses
from civicbus_consumers.enforcement.broker import Releases, Sources, find_note, find_positions
from civicbus_consumers.enforcement.clock import SYSTEM_CLOCK, Clock
from civicbus_consumers.enforcement.deciding import Bench
from civicbus_consumers.enforcement.deliveries import Keys
from civicbus_consumers.enforcement.handler import OnStep, nothing
from civicbus_consumers.enforcement.note import Note
from civicbus_consumers.enforcement.rules import NoSuchSchema, TypeOf
from civicbus_consumers.enforcement.settings import EnforcementSettings
from civicbus_consumers.enforcement.states import ReadyPlan, States
from civicbus_consumers.enforcement.worker import Worker
from civicbus_consumers.recording.chain import Chain
from civicbus_consumers.recording.recorder import KafkaPageLog, Recorder
from civicbus_consumers.recording.settings import fuse_of
from civicbus_consumers.recording.signing import read_signing_key
from civicbus_consumers.recording.wiring import open_vault
from civicbus_consumers.runtime.health import Health, serving_health
from civicbus_consumers.runtime.process import run_process
from civicbus_consumers.runtime.state import StateTail
from civicbus_consumers.runtime.tracing import configure_tracing
from civicbus_consumers.runtime.trust import open_policy
from civicbus_consumers.runtime.watchdog import Watchdog

PAGE_BROKER_BYTES = 8 * 1024 * 1024


def main(arguments: list[str] | None = None) -> int:
    """Run the process that `--settings FILE` describes; its exit code."""
    settings = EnforcementSettings.from_command_line(arguments)
    return run_process(settings.name, lambda stop: run(settings, stop))


def run(
    settings: EnforcementSettings,
    stop: threading.Event,
    *,
    on_step: OnStep = nothing,
    clock: Clock = SYSTEM_CLOCK,
) -> None:
    """Fence the predecessor, settle its last batch, then work until asked to stop."""
    configure_tracing(settings.name, endpoint=settings.otlp_endpoint, ratio=settings.trace_ratio)
    with serving_health(settings.health_port) as health:
        worker = build_worker(settings, health=health, on_step=on_step, clock=clock)
        gc.collect()
        gc.freeze()
        worker.run(stop)


def build_worker(
    settings: EnforcementSettings,
    *,
    health: Health,
    on_step: OnStep = nothing,
    clock: Clock = SYSTEM_CLOCK,
) -> Worker:
    """Take over the group, in the order in which safety lies.

    1. `init_transactions` fences the predecessor and finishes its last transaction.
    2. Only then the committed offsets and the note on them are read: they are final now.
    3. The state topics are read to their ends, the plan is compiled, sources are assigned.
    """
    group = enforcement_group(settings.group)
    consumer = Consumer(consumer_config(settings, client_id=settings.name, group=group))
    releases = _releases(settings, group, consumer)
    releases.fence_predecessor()

    registry = Registry(settings.registry_url)
    tail = StateTail(
        Consumer(consumer_config(settings, client_id=f"{settings.name}-state", group=group)),
        AdminClient(client_config(settings, client_id=f"{settings.name}-ends")),
        _state_partitions(settings),
    )
    note = find_note(consumer, tail.positions())
    told = find_positions(consumer, tail.positions())
    bench = _bench(settings, registry, tail, releases=releases, note=note, told=told)
    bench.clock = clock
    bench.states.catch_up()
    sources = Sources(consumer, _source_partitions(settings, bench.states.ready.policy))
    sources.assign()
    return Worker(
        bench,
        sources,
        note=note,
        health=health,
        batch_events=settings.batch_events,
        batch_wait_s=settings.batch_wait_s,
        on_step=on_step,
    )


def _releases(settings: EnforcementSettings, group: str, consumer: Consumer) -> Releases:
    producer = Producer(
        producer_config(
            settings,
            client_id=settings.name,
            transactional_id=group,
            transaction_timeout_s=settings.transaction_timeout_s,
        )
    )
    return Releases(producer, consumer, watchdog=Watchdog())


def _bench(
    settings: EnforcementSettings,
    registry: Registry,
    tail: StateTail,
    *,
    releases: Releases,
    note: Note,
    told: tuple[Position, ...],
) -> Bench:
    pairwise_of = _pairwise_keys(settings.pairwise_keys_file)
    return Bench(
        states=States(
            tail,
            prepare=_preparing(registry, pairwise_of, settings.policy_keys_file),
            told=told,
        ),
        recorder=_recorder(settings, registry, note),
        releases=releases,
        keys=Keys(
            topic=read_key(settings.topic_key_file),
            pairwise_of=pairwise_of,
        ),
        vault=open_vault(settings),
        type_of=_type_of(registry),
        reservations=RegistryUses(settings.uses_dsn_file),
        people=RegistryUses(settings.uses_dsn_file, table=day_place),
        allowances=Allowances(begun=datetime.now(UTC), shares=settings.groups),
    )


def _recorder(settings: EnforcementSettings, registry: Registry, note: Note) -> Recorder:
    """A new recorder whose first page closes the predecessor's chain."""
    signer, key = read_signing_key(settings.signing_key_file)
    config = producer_config(
        settings, client_id=f"{settings.name}-pages", max_message_bytes=PAGE_BROKER_BYTES
    )
    return Recorder(
        KafkaPageLog(
            Producer(config | {"linger.ms": 0}),
            schema_id=registry.get_id(AUDIT_PAGE, PAGE.document),
            fuse=fuse_of(settings),
        ),
        chain=Chain(
            process=enforcement_group(settings.group), recorder=new_recorder_id(), closes=note.page
        ),
        signer=signer,
        key=key,
    )


def _preparing(
    registry: Registry, pairwise_of: Callable[[AgencyId], PairwiseKeys], trust_file: Path
) -> Callable[[bytes], ReadyPlan]:
    """How an announcement is made ready. A set with other source topics needs a new start."""
    known: list[tuple[SourceTopic, ...]] = []

    def prepare(announced: bytes) -> ReadyPlan:
        policy = open_policy(announced, trust_file)
        known.append(policy.source_topics())
        if known[0] != known[-1]:
            raise Unavailable("the policy set has other source topics", next_step="start again")
        plan = compile_plan(policy, pairwise_key_of=lambda agency: pairwise_of(agency).key)
        return ReadyPlan(policy=policy, plan=plan, schema_ids=_schema_ids(registry, plan))

    return prepare


def _schema_ids(registry: Registry, plan: Plan) -> dict[tuple[AgreementRef, EventType], int]:
    ids = {}
    for (_, event_type), planned in plan.types.items():
        for release in planned.releases:
            ref, topic = release.agreement.ref, release.topic
            ids[ref, event_type] = registry.get_id(topic, release.cut.delivered.document)
            if release.agreement.withheld is WhenWithheld.NOTIFY:
                notice = notice_type(family_of(event_type))
                ids[ref, notice] = registry.get_id(topic, WITHHELD.document)
    return ids


def _pairwise_keys(path: Path) -> Callable[[AgencyId], PairwiseKeys]:
    """Each recipient's keys; one that came after this process started needs a new start."""
    keyring = parse_keyring(read_secret(path))

    def pairwise_of(recipient: AgencyId) -> PairwiseKeys:
        if recipient not in keyring:
            raise Unavailable("a recipient has no pairwise key", got=recipient)
        return keyring[recipient]

    return pairwise_of


def _type_of(registry: Registry) -> TypeOf:
    @cache
    def type_of(schema_id: int) -> AvroType:
        try:
            return parse_schema(registry.get_document(schema_id))
        except (NotRegistered, InvalidContract):
            raise NoSuchSchema("no such schema") from None

    return type_of


def _state_partitions(settings: EnforcementSettings) -> list[tuple[str, int]]:
    mine = partitions_of(settings.group, groups=settings.groups, partitions=settings.partitions)
    return [(STATE_POLICY, 0), *((STATE_CONSENT, partition) for partition in mine)]


def _source_partitions(settings: EnforcementSettings, policy: PolicySet) -> list[tuple[str, int]]:
    mine = partitions_of(settings.group, groups=settings.groups, partitions=settings.partitions)
    return [
        (topic.name, partition)
        for topic in policy.source_topics()
        if topic.family != CONSENT_FAMILY
        for partition in mine
    ]
