"""From what is to what should be, as an ordered list of steps. Pure: nothing is done here.

The order is safety: 1 topics 2 positions, before anybody may publish 3 schemas 4 passwords and
quotas 5 grants and connection files 6 the policy, which sets the bus going. Nothing is ever deleted
but grants: topics hold evidence, and a position is moved by nobody but its group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from civicbus_schemas.codec import SchemaDocument
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import PolicyVersion

from civicbus_deploy.provisioning.compatibility import check_compatible
from civicbus_deploy.provisioning.connections import AgencyFile
from civicbus_deploy.provisioning.desired import (
    BUS_PRINCIPALS,
    Desired,
    Grant,
    Start,
    Subject,
    Topic,
)
from civicbus_deploy.provisioning.quotas import Quota

_MIN_INSYNC = "min.insync.replicas"
_OUR_TOPICS = ("src.", "dlv.", "audit.", "state.")


class PartitionsDiffer(Refused):
    """A topic has another number of partitions than its `v1` is fixed at."""


class DurabilityLowered(Refused):
    """Fewer brokers answer than when the topics were made."""


class PositionLost(Refused):
    """A group has no position on a partition that holds data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """What broker and registry hold now. `passwords`: users whose secret we also hold."""

    topics: Mapping[str, Topic] = field(default_factory=dict)
    passwords: frozenset[str] = frozenset()
    grants: frozenset[Grant] = frozenset()
    quotas: frozenset[Quota] = frozenset()
    started: frozenset[Start] = frozenset()
    occupied: frozenset[tuple[str, int]] = frozenset()
    schemas: Mapping[str, tuple[SchemaDocument, ...]] = field(default_factory=dict)
    connections: frozenset[AgencyFile] = frozenset()
    policy: PolicyVersion | None = None


@dataclass(frozen=True, slots=True)
class CreateTopic:
    """Make a topic."""

    topic: Topic

    def __str__(self) -> str:
        return f"create topic {self.topic.name} with {self.topic.partitions} partitions"


@dataclass(frozen=True, slots=True)
class ConfigureTopic:
    """Set settings of a topic."""

    name: str
    changes: Mapping[str, str]

    def __str__(self) -> str:
        changes = ", ".join(f"{key}={value}" for key, value in self.changes.items())
        return f"configure topic {self.name}: {changes}"


@dataclass(frozen=True, slots=True)
class StartGroup:
    """Put a group at the beginning of new partitions."""

    group: str
    starts: tuple[Start, ...]

    def __str__(self) -> str:
        return f"start group {self.group} at the beginning of {len(self.starts)} partitions"


@dataclass(frozen=True, slots=True)
class SetPassword:
    """Make a user, or set the password anew because ours was lost."""

    principal: str

    def __str__(self) -> str:
        return f"create user {self.principal}"


@dataclass(frozen=True, slots=True)
class Limit:
    """Set what a recorder may write in a second."""

    quota: Quota

    def __str__(self) -> str:
        return f"limit {self.quota}"


@dataclass(frozen=True, slots=True)
class Allow:
    """Add a grant."""

    grant: Grant

    def __str__(self) -> str:
        return f"allow: {self.grant}"


@dataclass(frozen=True, slots=True)
class Revoke:
    """Remove a grant that nothing asks for."""

    grant: Grant

    def __str__(self) -> str:
        return f"revoke: {self.grant}"


@dataclass(frozen=True, slots=True)
class Register:
    """Register a schema."""

    subject: Subject

    def __str__(self) -> str:
        return f"register {self.subject.name}"


@dataclass(frozen=True, slots=True)
class Announce:
    """Announce the policy set."""

    version: PolicyVersion

    def __str__(self) -> str:
        return f"announce policy {self.version[:16]}…"


@dataclass(frozen=True, slots=True)
class WriteConnection:
    """Write the file with which an agency's systems connect."""

    connection: AgencyFile

    def __str__(self) -> str:
        return f"write agencies/{self.connection.agency}.json"


Step = (
    CreateTopic | ConfigureTopic | StartGroup | SetPassword | Limit | Allow | Revoke | Register
    | WriteConnection | Announce
)  # fmt: skip


def plan(desired: Desired, actual: Actual) -> tuple[Step, ...]:
    """The steps that lead from actual to desired; none when they agree.

    Raises `PartitionsDiffer`, `PositionLost` or `Incompatible` before anything is done.
    """
    return (
        *_topic_steps(desired.topics, actual),
        *_start_steps(desired.starts, actual),
        *_schema_steps(desired.subjects, actual),
        *(SetPassword(p) for p in desired.principals if p not in actual.passwords),
        *(Limit(quota) for quota in desired.quotas if quota not in actual.quotas),
        *_grant_steps(desired, actual),
        *(WriteConnection(c) for c in desired.connections if c not in actual.connections),
        *([] if actual.policy == desired.policy else [Announce(desired.policy)]),
    )


def _topic_steps(wanted: Iterable[Topic], actual: Actual) -> Iterator[Step]:
    for topic in wanted:
        present = actual.topics.get(topic.name)
        if present is None:
            yield CreateTopic(topic)
            continue
        if present.partitions != topic.partitions:
            raise PartitionsDiffer(
                f"topic {topic.name} cannot be provisioned",
                got=f"{present.partitions} partitions",
                expected=topic.partitions,
                next_step="make a v2 of it: partition counts are fixed for the life of v1",
            )
        before, now = _acknowledging(present), _acknowledging(topic)
        if before > now:  # only brokers that are up are counted
            raise DurabilityLowered(
                f"topic {topic.name} would be acknowledged by fewer brokers",
                got=f"{_MIN_INSYNC} {before}, and brokers for {now}",
                expected="as many brokers as before",
                next_step="start the brokers that are down, and provision again",
            )
        changes = {k: v for k, v in topic.config.items() if present.config.get(k) != v}
        if changes:
            yield ConfigureTopic(topic.name, changes)


def _acknowledging(topic: Topic) -> int:
    return int(topic.config.get(_MIN_INSYNC, "1"))


def _start_steps(wanted: Iterable[Start], actual: Actual) -> Iterator[Step]:
    missing = sorted(set(wanted) - actual.started)
    lost = [start for start in missing if (start.topic, start.partition) in actual.occupied]
    if lost:
        raise PositionLost(
            f"group {lost[0].group} has no position on {lost[0].topic}[{lost[0].partition}]",
            got=f"{len(lost)} such partitions, which hold data",
            expected="a committed offset on every partition",
            next_step="find the last released offset in the ledger and commit it by hand; "
            "beginning anew would deliver everything twice",
        )
    for group, starts in groupby(missing, key=lambda start: start.group):
        yield StartGroup(group, tuple(starts))


def _schema_steps(wanted: Iterable[Subject], actual: Actual) -> Iterator[Step]:
    for subject in wanted:
        versions = actual.schemas.get(subject.name, ())
        if subject.document not in versions:
            check_compatible(subject.document, versions, subject=subject.name)
            yield Register(subject)


def _grant_steps(desired: Desired, actual: Actual) -> Iterator[Step]:
    principals = {*desired.principals, *BUS_PRINCIPALS}
    for grant in sorted(desired.grants - actual.grants):
        yield Allow(grant)
    for grant in sorted(actual.grants - desired.grants):
        if grant.principal in principals or grant.name.startswith(_OUR_TOPICS):
            yield Revoke(grant)
