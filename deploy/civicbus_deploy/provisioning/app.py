"""Provisioning: makes broker, registry and connection files what the nation's files ask for.

A second run changes nothing and says so. What is wrong is refused before anything is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from civicbus_schemas.announcement import open_announcement, read_announced
from civicbus_schemas.ids import AgencyId, PolicyVersion
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.statement import Statement

from civicbus_deploy.embedded import keys, pseudonyms, secrets
from civicbus_deploy.embedded.environment import environment
from civicbus_deploy.embedded.state import StateFolder, write_file
from civicbus_deploy.provisioning import steps
from civicbus_deploy.provisioning.announcing import PolicyTopic
from civicbus_deploy.provisioning.binding import bind, missing
from civicbus_deploy.provisioning.client_quotas import read_quotas, set_quotas
from civicbus_deploy.provisioning.connections import Addresses, AgencyFile, agency_file
from civicbus_deploy.provisioning.desired import Desired, desired_state
from civicbus_deploy.provisioning.kafka import AdminAccess, Broker
from civicbus_deploy.provisioning.nation import Nation, load_nation
from civicbus_deploy.provisioning.officers import (
    appoint,
    approve_all,
    keep_statements,
    read_statements,
    trust_of,
)
from civicbus_deploy.provisioning.registry import SchemaStore
from civicbus_deploy.provisioning.steps import Actual, Step, plan

S = TypeVar("S", bound=Step)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisioningReport:
    """What provisioning did, or with `applied` false what it would do.

    `drafts` says of each agreement that was left out who has not approved it; `offset` is that of
    the announcement on `state.policy.v1`, if one was made.
    """

    policy: PolicyVersion
    steps: tuple[Step, ...]
    applied: bool
    drafts: Mapping[str, Sequence[str]]
    offset: int | None = None

    def lines(self) -> list[str]:
        """The report for people: drafts, one line a step, and a line that sums up."""
        drafts = [
            f"left out: {ref} is a draft until {' and '.join(who)} approve it"
            for ref, who in self.drafts.items()
        ]
        if not self.steps:
            return [*drafts, f"nothing to change: policy {self.policy[:16]}… is in force"]
        verb = "done" if self.applied else "planned, none taken"
        return [*drafts, *map(str, self.steps), f"steps {verb}: {len(self.steps)}"]


def provision(
    home: Path, nation: Path | str | None = None, *, plan_only: bool = False
) -> ProvisioningReport:
    """Bring the stack of this state folder to what the nation's folder asks for.

    Raises `InvalidNation`, `Incompatible`, `PartitionsDiffer`, `PositionLost` before anything is
    changed, `Unavailable` or `Overdue` when a server does not answer; then run it again.
    """
    loaded = load_nation(nation)
    site = Site.open(home)
    with closing(site.registry):
        statements = site.statements(loaded, keep=not plan_only)
        bound = bind(loaded, statements)
        desired = site.desired(bound.policy)
        todo = plan(desired, site.actual(desired))
        offset = None if plan_only else site.apply(todo, bound.data)
    drafts = {str(draft.ref): missing(draft, statements) for draft in bound.drafts}
    return ProvisioningReport(
        policy=bound.policy.version,
        steps=todo,
        applied=not plan_only,
        drafts=drafts,
        offset=offset,
    )


@dataclass(frozen=True, slots=True)
class Site:
    """One stack: its state folder, broker and registry."""

    folder: StateFolder
    addresses: Addresses
    broker: Broker
    registry: SchemaStore
    policies: PolicyTopic

    @classmethod
    def open(cls, home: Path) -> Site:
        """The stack of a state folder, which must run."""
        folder = StateFolder.at(home)
        env = environment(folder)
        access = AdminAccess(
            bootstrap=env["bootstrap"],
            username=env["admin_user"],
            password_file=Path(env["admin_secret_file"]),
        )
        addresses = Addresses(
            bootstrap=env["bootstrap"],
            registry_url=env["registry_url"],
            lookup_url=env["lookup_url"],
        )
        policies = PolicyTopic(
            access,
            secrets=folder.secrets,
            kept=folder.home / "policy" / "sets",
            registry_url=env["registry_url"],
        )
        return cls(folder, addresses, Broker(access), SchemaStore(env["registry_url"]), policies)

    def announced(self) -> PolicySet | None:
        """The policy set in force, as the bus trusts it; None before the first."""
        announced = self.policies.read()
        return None if announced is None else open_announcement(announced, trust_of(self.folder))

    def statements(self, nation: Nation, *, keep: bool) -> list[Statement]:
        """All that officers have signed: what is announced, and what is in the register.

        A stack that has announced nothing yet is founded: its own officers approve what it starts
        with, as a stack for development must. Whatever comes later waits for them.
        """
        announced = self.announced()
        if announced is not None:
            return [*announced.statements, *read_statements(self.folder)]
        agreements = nation.policy.agreements
        appoint(self.folder, (party for a in agreements for party in a.approved_by))
        signed = read_statements(self.folder)
        founding = approve_all(self.folder, (a for a in agreements if missing(a, signed)))
        if keep:
            keep_statements(self.folder, founding)
        return [*signed, *founding]

    def desired(self, policy: PolicySet) -> Desired:
        """What the policy set asks of this stack."""
        return desired_state(
            policy,
            brokers=self.broker.count_brokers(),
            connections=tuple(
                agency_file(agency, self.addresses, secrets=self.folder.secrets)
                for agency in policy.agencies.values()
            ),
        )

    def actual(self, desired: Desired) -> Actual:
        """What this stack holds of it now."""
        topics = self.broker.read_topics(topic.name for topic in desired.topics)
        started = self.broker.read_starts(desired.starts)
        unstarted = [s for s in desired.starts if s not in started and s.topic in topics]
        policy = self.policies.read()
        return Actual(
            topics=topics,
            passwords=frozenset(filter(self._holds_password, self.broker.read_users())),
            grants=self.broker.read_grants(),
            quotas=read_quotas(self.broker.access),
            started=started,
            occupied=self.broker.read_occupied({(s.topic, s.partition) for s in unstarted}),
            schemas=self.registry.read_versions(desired.subjects),
            connections=frozenset(filter(self._is_written, desired.connections)),
            policy=None if policy is None else _version(read_announced(policy)),
        )

    def _holds_password(self, user: str) -> bool:
        return (self.folder.secrets / f"kafka-{user}").exists()

    def _is_written(self, connection: AgencyFile) -> bool:
        path = self.folder.agencies / f"{connection.agency}.json"
        files = [connection.topic_key_file, connection.token_key_file]
        return (
            path.exists()
            and path.read_bytes() == connection.to_json()
            and all(Path(file).exists() for file in files if file)
            and connection.agency in pseudonyms.read_keyring(self.folder)
        )

    def apply(self, todo: Sequence[Step], policy: bytes) -> int | None:
        """Take the steps in the order of `steps`; taking them twice does no harm.

        The offset of the announcement, if there is one.
        """
        keys.make_keys(self.folder)
        # 1 topics
        if created := _of(steps.CreateTopic, todo):
            self.broker.create_topics([step.topic for step in created])
        for change in _of(steps.ConfigureTopic, todo):
            self.broker.configure_topic(change.name, change.changes)
        # 2 positions, before anybody may publish
        for start in _of(steps.StartGroup, todo):
            self.broker.start_group(start.group, start.starts)
        # 3 schemas
        self.registry.register(step.subject for step in _of(steps.Register, todo))
        # 4 passwords and quotas, before anybody may write
        users = [step.principal for step in _of(steps.SetPassword, todo)]
        if users:
            self.broker.set_passwords({user: self._password(user) for user in users})
        if limits := [step.quota for step in _of(steps.Limit, todo)]:
            set_quotas(self.broker.access, limits)
        # 5 grants and connection files
        if allowed := [step.grant for step in _of(steps.Allow, todo)]:
            self.broker.allow(allowed)
        if revoked := [step.grant for step in _of(steps.Revoke, todo)]:
            self.broker.revoke(revoked)
        self.broker.wait_until_known(users, allowed=allowed, revoked=revoked)
        for written in _of(steps.WriteConnection, todo):
            self._write_connection(written.connection)
        # 6 the policy, which sets the bus going
        return self.policies.announce(policy) if _of(steps.Announce, todo) else None

    def _password(self, principal: str) -> str:
        secrets.get_or_create(self.folder.home, f"kafka-{principal}")
        return secrets.read(self.folder.home, f"kafka-{principal}")

    def _write_connection(self, connection: AgencyFile) -> None:
        home, agency = self.folder.home, connection.agency
        secrets.get_or_create(home, f"token-{agency}.pem", secrets.ed25519_pem)
        secrets.get_or_create(home, "topic-key", secrets.hex_key)
        pseudonyms.complete(self.folder, [AgencyId(agency)])
        self.folder.agencies.mkdir(mode=0o700, exist_ok=True)
        write_file(self.folder.agencies / f"{agency}.json", connection.to_json())


def _of(kind: type[S], todo: Sequence[Step]) -> list[S]:
    return [step for step in todo if isinstance(step, kind)]


def _version(policy: bytes) -> PolicyVersion:
    return PolicyVersion(hashlib.sha256(policy).hexdigest())
