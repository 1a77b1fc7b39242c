"""What a policy set asks of broker and registry: topics, principals, grants, positions, schemas.

Pure. Least privilege: each principal gets the operations its work needs on the names it needs, and
an agency nothing but its own source topics, delivery topics and groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from civicbus_schemas import topics
from civicbus_schemas.codec import SchemaDocument
from civicbus_schemas.consent import SUBJECT_CONSENTS
from civicbus_schemas.contract import Contract
from civicbus_schemas.delivered import derive_delivered
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import PolicyVersion
from civicbus_schemas.page import PAGE
from civicbus_schemas.policy import Agency, PolicySet
from civicbus_schemas.vocabulary import WhenWithheld
from civicbus_schemas.withheld import WITHHELD

from civicbus_deploy.provisioning.connections import AgencyFile
from civicbus_deploy.provisioning.quotas import MIB, Quota, quotas_of

ENFORCE, CONSENT, SEALING, LOOKUP = "bus-enforce", "bus-consent", "bus-sealing", "bus-lookup"
OFFICERS, FLAGS, UNREAD = "bus-officers", "bus-flags", "bus-unread"
BUS_PRINCIPALS = (ENFORCE, CONSENT, SEALING, LOOKUP, OFFICERS, FLAGS, UNREAD)

_DAY_MS = 24 * 60 * 60 * 1000
_FOREVER = "-1"
_AGENCY_BYTES_S = 4 * MIB  # a publisher's full queue of 64 MiB in half the time that it has
_ENFORCE_BYTES_S = 16 * MIB  # deliveries, too: 1.6 kB for each of 10,000 records a second


class Resource(StrEnum):
    """What a grant is on."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"


class Operation(StrEnum):
    """What a grant allows; the broker lets READ and WRITE imply DESCRIBE."""

    READ = "read"
    WRITE = "write"
    DESCRIBE = "describe"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Topic:
    """A topic, its partitions, and the settings that provisioning answers for."""

    name: str
    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Grant:
    """One operation that a principal may do on a name, or on every name that begins with it."""

    principal: str
    resource: Resource
    name: str
    prefixed: bool = False
    operation: Operation

    def __str__(self) -> str:
        name = f"{self.name}*" if self.prefixed else self.name
        return f"{self.principal} may {self.operation} {self.resource} {name}"


@dataclass(frozen=True, slots=True, order=True)
class Start:
    """A partition at whose beginning a group must stand before anything is published."""

    group: str
    topic: str
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A schema, and the name under which its versions are registered."""

    name: str
    document: SchemaDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """All of it."""

    topics: tuple[Topic, ...]
    principals: tuple[str, ...]
    grants: frozenset[Grant]
    quotas: tuple[Quota, ...]
    starts: tuple[Start, ...]
    subjects: tuple[Subject, ...]
    connections: tuple[AgencyFile, ...]
    policy: PolicyVersion


def desired_state(
    policy: PolicySet,
    *,
    brokers: int,
    connections: tuple[AgencyFile, ...] = (),
) -> Desired:
    """What this policy set asks of a cluster of that many brokers; raises `Refused` for two.

    Topics made while one of three is down would keep one replica for ever.
    """
    if brokers == 2:
        raise Refused(
            "topics cannot be kept on two brokers",
            got="2 that answer",
            expected="1 (for tests), or at least 3",
            next_step="start the third, and provision again",
        )
    grants = frozenset(_grants(policy))
    return Desired(
        topics=tuple(_topics(policy, brokers=brokers)),
        principals=(*policy.agencies, *BUS_PRINCIPALS),
        grants=grants,
        quotas=quotas_of(_limited(policy, grants), _quotas(policy)),
        starts=tuple(_starts(policy)),
        subjects=tuple(_subjects(policy)),
        connections=connections,
        policy=policy.version,
    )


def _topics(policy: PolicySet, *, brokers: int) -> Iterator[Topic]:
    replicas = "2" if brokers >= 3 else "1"
    base = {"min.insync.replicas": replicas, "max.message.bytes": str(MIB)}

    def topic(name: str, partitions: int = topics.PARTITIONS, **config: str) -> Topic:
        settings = {key.replace("_", "."): value for key, value in config.items()}
        return Topic(name=name, partitions=partitions, config={**base, **settings})

    for source in policy.source_topics():
        yield topic(source.name, cleanup_policy="delete", retention_ms=str(14 * _DAY_MS))
        yield topic(
            source.dead_letters, cleanup_policy="delete", retention_ms=str(30 * _DAY_MS),
            max_message_bytes=str(2 * MIB),  # the largest message, and our headers on it
        )  # fmt: skip
    keepers = {a.provider for a in policy.agreements if a.reads}
    for agency in policy.agencies.values():
        # the view is rebuilt from its agency's deliveries until there are snapshots of it
        kept = _FOREVER if agency.id in keepers else str(7 * _DAY_MS)
        for name in _delivery_topics(agency):
            yield topic(name, cleanup_policy="delete", retention_ms=kept)
    # on one broker an acknowledged page is on the disk, not in the memory of a second broker
    durable = {"flush_messages": "1"} if brokers == 1 else {}
    yield topic(
        topics.AUDIT_PAGE, 1, cleanup_policy="delete", retention_ms=_FOREVER,
        max_message_bytes=str(8 * MIB),
        message_timestamp_type="LogAppendTime",  # the broker's time, not a recorder's
        **durable,
    )  # fmt: skip
    yield topic(topics.STATE_CONSENT, cleanup_policy="compact")
    yield topic(topics.STATE_POLICY, 1, cleanup_policy="delete", retention_ms=_FOREVER)


def _delivery_topics(agency: Agency) -> list[str]:
    return [topics.delivery_topic(agency.id, family) for family in agency.receives]


def _allow(
    principal: str, operation: Operation, resource: Resource, *names: str, prefixed: bool = False
) -> Iterator[Grant]:
    for name in names:
        yield Grant(
            principal=principal,
            resource=resource,
            name=name,
            prefixed=prefixed,
            operation=operation,
        )


def _grants(policy: PolicySet) -> Iterator[Grant]:
    for agency in policy.agencies.values():
        yield from _agency_grants(agency)
    yield from _enforcement_grants(policy)
    yield from _consent_grants(policy)
    yield from _unread_grants(policy)
    yield from _allow(SEALING, Operation.READ, Resource.TOPIC, topics.AUDIT_PAGE)
    yield from _allow(SEALING, Operation.READ, Resource.GROUP, topics.SEALING)
    yield from _allow(OFFICERS, Operation.WRITE, Resource.TOPIC, topics.AUDIT_PAGE)
    states = (topics.STATE_CONSENT, topics.STATE_POLICY)
    yield from _allow(LOOKUP, Operation.READ, Resource.TOPIC, *states)
    yield from _allow(LOOKUP, Operation.WRITE, Resource.TOPIC, topics.AUDIT_PAGE)
    yield from _allow(LOOKUP, Operation.READ, Resource.GROUP, "lookup", prefixed=True)
    for operation in (Operation.READ, Operation.WRITE):  # flags are leaves, too
        yield from _allow(FLAGS, operation, Resource.TOPIC, topics.AUDIT_PAGE)
    yield from _allow(FLAGS, Operation.READ, Resource.GROUP, topics.FLAGS)
    for recorder in (ENFORCE, LOOKUP, OFFICERS, FLAGS):  # whose fuse looks how far sealing has come
        yield from _allow(recorder, Operation.DESCRIBE, Resource.GROUP, topics.SEALING)
    for groups in ("consent-", "enforce-"):  # whose positions tell when a fence has passed
        yield from _allow(LOOKUP, Operation.DESCRIBE, Resource.GROUP, groups, prefixed=True)
    sources = [s.name for s in policy.source_topics() if s.family == topics.CONSENT_FAMILY]
    yield from _allow(LOOKUP, Operation.DESCRIBE, Resource.TOPIC, *sources)


def _limited(policy: PolicySet, grants: Iterable[Grant]) -> Iterator[str]:
    """Whoever may write pages, and every agency that may write at all."""
    for grant in grants:
        writes = grant.operation is Operation.WRITE
        if writes and (grant.name == topics.AUDIT_PAGE or grant.principal in policy.agencies):
            yield grant.principal


def _quotas(policy: PolicySet) -> Mapping[str, int]:
    """Who may write otherwise than by default."""
    return {ENFORCE: _ENFORCE_BYTES_S, **dict.fromkeys(policy.agencies, _AGENCY_BYTES_S)}


def _unread_grants(policy: PolicySet) -> Iterator[Grant]:
    """How far recipients have read, and what lies behind that; it is in no group of theirs."""
    yield from _allow(UNREAD, Operation.DESCRIBE, Resource.GROUP, topics.UNREAD)
    for agency in policy.agencies.values():
        yield from _allow(UNREAD, Operation.READ, Resource.TOPIC, *_delivery_topics(agency))
        groups = f"{agency.id}."
        yield from _allow(UNREAD, Operation.DESCRIBE, Resource.GROUP, groups, prefixed=True)


def _agency_grants(agency: Agency) -> Iterator[Grant]:
    sources = [topics.SourceTopic(agency.id, family).name for family in agency.publishes]
    yield from _allow(agency.id, Operation.WRITE, Resource.TOPIC, *sources)
    yield from _allow(agency.id, Operation.READ, Resource.TOPIC, *_delivery_topics(agency))
    group_prefix = f"{agency.id}."  # an agency's id has no dot, so no prefix holds another's
    yield from _allow(agency.id, Operation.READ, Resource.GROUP, group_prefix, prefixed=True)


def _enforcement_grants(policy: PolicySet) -> Iterator[Grant]:
    sources = policy.source_topics()
    states = (topics.STATE_CONSENT, topics.STATE_POLICY)
    deliveries = [n for agency in policy.agencies.values() for n in _delivery_topics(agency)]
    read = [source.name for source in sources]
    write = [*deliveries, *(source.dead_letters for source in sources), topics.AUDIT_PAGE]
    yield from _allow(ENFORCE, Operation.READ, Resource.TOPIC, *read, *states)
    yield from _allow(ENFORCE, Operation.WRITE, Resource.TOPIC, *write)
    yield from _allow(ENFORCE, Operation.READ, Resource.GROUP, "enforce-", prefixed=True)
    yield from _allow(
        ENFORCE, Operation.WRITE, Resource.TRANSACTIONAL_ID, "enforce-", prefixed=True
    )


def _consent_grants(policy: PolicySet) -> Iterator[Grant]:
    sources = [s for s in policy.source_topics() if s.family == topics.CONSENT_FAMILY]
    read = [topics.STATE_CONSENT, topics.STATE_POLICY, *(source.name for source in sources)]
    write = [topics.STATE_CONSENT, *(source.dead_letters for source in sources)]
    yield from _allow(CONSENT, Operation.READ, Resource.TOPIC, *read)
    yield from _allow(CONSENT, Operation.WRITE, Resource.TOPIC, *write)
    yield from _allow(CONSENT, Operation.READ, Resource.GROUP, "consent-", prefixed=True)
    yield from _allow(
        CONSENT, Operation.WRITE, Resource.TRANSACTIONAL_ID, "consent-", prefixed=True
    )


def _starts(policy: PolicySet) -> Iterator[Start]:
    """Sources, and the state positions that each group commits with them."""
    sources = policy.source_topics()
    for group in range(topics.GROUPS):
        enforce, consent = topics.enforcement_group(group), topics.consent_group(group)
        yield Start(enforce, topics.STATE_POLICY, 0)
        for partition in topics.partitions_of(group):
            yield Start(enforce, topics.STATE_CONSENT, partition)
            for source in sources:
                folded = source.family == topics.CONSENT_FAMILY
                yield Start(consent if folded else enforce, source.name, partition)


def _subjects(policy: PolicySet) -> Iterator[Subject]:
    """Subject = topic + record: events on sources, derived types on deliveries, pages, states."""
    for source in policy.source_topics():
        for contract in _of_family(policy, source.family):
            yield _subject(source.name, contract.document)
    notified: set[str] = set()
    for agreement in policy.agreements:
        for event_type, release in agreement.releases.items():
            contract = policy.contracts[event_type]
            name = topics.delivery_topic(agreement.recipient, contract.family)
            document = derive_delivered(contract, release, agreement=agreement.ref)
            yield _subject(name, document)
            if agreement.withheld is WhenWithheld.NOTIFY:
                notified.add(name)
    for name in sorted(notified):
        yield _subject(name, WITHHELD.document)
    yield _subject(topics.AUDIT_PAGE, PAGE.document)
    yield _subject(topics.STATE_CONSENT, SUBJECT_CONSENTS.document)


def _of_family(policy: PolicySet, family: str) -> list[Contract]:
    return [c for c in policy.contracts.values() if c.family == family and not c.is_view]


def _subject(topic: str, document: SchemaDocument) -> Subject:
    name = f"{topic}-{document['namespace']}.{document['name']}"
    return Subject(name=name, document=document)
