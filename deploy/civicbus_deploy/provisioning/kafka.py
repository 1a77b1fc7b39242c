"""The broker as provisioning sees and changes it, through confluent-kafka's AdminClient."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from civicbus_producers.ends import read_high_watermarks
from civicbus_producers.kafka import (
    ConnectionErrors,
    client_config,
    kafka_errors_translated,
)
from civicbus_producers.positions import GroupPositions
from civicbus_schemas.errors import Overdue, Retryable
from civicbus_schemas.topics import AUDIT_PAGE
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)
from confluent_kafka.cimpl import NewTopic

from civicbus_deploy.provisioning.desired import Grant, Operation, Resource, Start, Topic

_TIMEOUT_S = 30.0
_SCRAM_ITERATIONS = 8192
_RESOURCES = {
    Resource.TOPIC: ResourceType.TOPIC,
    Resource.GROUP: ResourceType.GROUP,
    Resource.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
}
_OPERATIONS = {
    Operation.READ: AclOperation.READ,
    Operation.WRITE: AclOperation.WRITE,
    Operation.DESCRIBE: AclOperation.DESCRIBE,
}
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminAccess:
    """How the administrator reaches the broker."""

    bootstrap: str
    username: str
    password_file: Path
    security_protocol: str = "SASL_PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"


class Broker:
    """One cluster, with the administrator's rights. Errors are ours; every call has a time-out."""

    def __init__(self, access: AdminAccess) -> None:
        self.access = self._access = access
        self._errors = ConnectionErrors("provisioning")
        with self._translated("making an admin client"):
            self._admin = AdminClient(
                client_config(access, client_id="provisioning", errors=self._errors)
            )

    def _translated(self, doing: str) -> Any:
        return kafka_errors_translated(doing, errors=self._errors)

    def _all(self, futures: Mapping[Any, Future[T]], *, doing: str) -> list[T]:
        with self._translated(doing):
            return [future.result(_TIMEOUT_S) for future in futures.values()]

    def delete_pages(self, before: int) -> None:
        """Deletes the records of the page topic from before this offset; again does nothing."""
        place = TopicPartition(AUDIT_PAGE, 0, before)
        self._all(self._admin.delete_records([place]), doing="deleting pruned pages")

    # what is

    def count_brokers(self) -> int:
        """How many brokers the cluster has."""
        with self._translated("asking for the cluster"):
            return len(self._admin.list_topics(timeout=_TIMEOUT_S).brokers)

    def read_topics(self, names: Iterable[str]) -> dict[str, Topic]:
        """Those of the named topics that exist, with all their settings."""
        with self._translated("listing topics"):
            present = self._admin.list_topics(timeout=_TIMEOUT_S).topics
        partitions = {n: len(present[n].partitions) for n in names if n in present}
        if not partitions:
            return {}
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in partitions]
        described = self._all(
            self._admin.describe_configs(resources), doing="reading topics' settings"
        )
        return {
            name: Topic(
                name=name,
                partitions=partitions[name],
                config={key: entry.value for key, entry in config.items()},
            )
            for name, config in zip(partitions, described, strict=True)
        }

    def read_users(self) -> frozenset[str]:
        """The names of all SCRAM users."""
        with self._translated("listing users"):
            future: Any = self._admin.describe_user_scram_credentials()
            return frozenset(future.result(_TIMEOUT_S))

    def read_grants(self) -> frozenset[Grant]:
        """Every grant of the kinds that provisioning makes."""
        anything: Any = None
        everything = AclBindingFilter(
            ResourceType.ANY, anything, ResourcePatternType.ANY, anything, anything,
            AclOperation.ANY, AclPermissionType.ALLOW,
        )  # fmt: skip
        with self._translated("listing grants"):
            bindings = self._admin.describe_acls(everything).result(_TIMEOUT_S)
        return frozenset(grant for grant in map(_grant, bindings) if grant is not None)

    def read_starts(self, wanted: Iterable[Start]) -> frozenset[Start]:
        """Those of the wanted positions that are committed."""
        found = set()
        asked = sorted(wanted)
        for group in sorted({start.group for start in asked}):
            places = [(s.topic, s.partition) for s in asked if s.group == group]
            with GroupPositions(self._access, group, client_id="provisioning") as positions:
                committed = _patiently(partial(positions.read, places))
            found |= {Start(group, topic, partition) for topic, partition in committed}
        return frozenset(found)

    def read_occupied(self, partitions: Iterable[tuple[str, int]]) -> frozenset[tuple[str, int]]:
        """Those of the partitions on which something was ever written."""
        ends = read_high_watermarks(self._admin, partitions, timeout_s=_TIMEOUT_S)
        return frozenset(place for place, end in ends.items() if end > 0)

    # what should be

    def create_topics(self, topics: Iterable[Topic]) -> None:
        """Create topics and wait until each partition has a leader."""
        wanted = {topic.name: topic.partitions for topic in topics}
        replicas = 3 if self.count_brokers() >= 3 else 1
        new = [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=replicas,
                config=dict(topic.config),
            )
            for topic in topics
        ]
        self._all(self._admin.create_topics(new), doing="creating topics")
        deadline = time.monotonic() + _TIMEOUT_S
        while not self._led(wanted):
            if time.monotonic() > deadline:
                raise Overdue("new topics have no leaders yet", next_step="provision again")
            time.sleep(0.1)

    def _led(self, wanted: Mapping[str, int]) -> bool:
        with self._translated("listing topics"):
            present = self._admin.list_topics(timeout=_TIMEOUT_S).topics
        return all(
            name in present
            and len(present[name].partitions) == count
            and all(p.leader >= 0 for p in present[name].partitions.values())
            for name, count in wanted.items()
        )

    def configure_topic(self, name: str, changes: Mapping[str, str]) -> None:
        """Set these settings of a topic, and no others."""
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
            for key, value in changes.items()
        ]
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
        self._all(self._admin.incremental_alter_configs([resource]), doing=f"configuring {name}")

    def start_group(self, group: str, starts: Iterable[Start]) -> None:
        """Commit offset 0, with an empty note, on partitions that nobody has written to."""
        partitions = [TopicPartition(s.topic, s.partition, 0, "") for s in starts]
        with GroupPositions(self._access, group, client_id="provisioning") as positions:
            _patiently(partial(positions.commit, partitions))

    def set_passwords(self, passwords: Mapping[str, str]) -> None:
        """Create users, or give them these passwords."""
        information = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _SCRAM_ITERATIONS)
        changes: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(user, information, password.encode())
            for user, password in passwords.items()
        ]
        self._all(self._admin.alter_user_scram_credentials(changes), doing="creating users")

    def allow(self, grants: Iterable[Grant]) -> None:
        """Add grants."""
        self._all(self._admin.create_acls([*map(_binding, grants)]), doing="adding grants")

    def revoke(self, grants: Iterable[Grant]) -> None:
        """Remove grants."""
        filters = [_exact_filter(_binding(grant)) for grant in grants]
        self._all(self._admin.delete_acls(filters), doing="removing grants")

    def wait_until_known(
        self, users: Collection[str], *, allowed: Collection[Grant], revoked: Collection[Grant]
    ) -> None:
        """Return when the broker acts on new users and grants.

        The controller acknowledges a change before every broker has heard of it; a login in between
        would be refused. Raises `Overdue`.
        """
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            grants = self.read_grants()
            known = set(users) <= self.read_users() and grants.issuperset(allowed)
            if known and grants.isdisjoint(revoked):
                return
            if time.monotonic() > deadline:
                raise Overdue("the broker has not heard of new users and grants")
            time.sleep(0.1)


def _patiently(ask: Callable[[], T]) -> T:
    """Ask again while a coordinator is still loading, as in a broker's first seconds."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            return ask()
        except Retryable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _binding(grant: Grant) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if grant.prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        _RESOURCES[grant.resource], grant.name, pattern, f"User:{grant.principal}", "*",
        _OPERATIONS[grant.operation], AclPermissionType.ALLOW,
    )  # fmt: skip


def _exact_filter(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype, binding.name, binding.resource_pattern_type, binding.principal,
        binding.host, binding.operation, binding.permission_type,
    )  # fmt: skip


def _grant(binding: AclBinding) -> Grant | None:
    """The grant in a binding; None for kinds that provisioning never makes."""
    resources: dict[Any, Resource] = {theirs: ours for ours, theirs in _RESOURCES.items()}
    operations: dict[Any, Operation] = {theirs: ours for ours, theirs in _OPERATIONS.items()}
    resource, operation = resources.get(binding.restype), operations.get(binding.operation)
    if resource is None or operation is None or binding.host != "*":
        return None
    return Grant(
        principal=binding.principal.removeprefix("User:"),
        resource=resource,
        name=binding.name,
        prefixed=binding.resource_pattern_type is ResourcePatternType.PREFIXED,
        operation=operation,
    )
