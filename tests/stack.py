"""The real servers for tests: Kafka, schema registry and PostgreSQL in a folder of their own.

Tests of own processes, provisioning and SDKs stand on `Stack`; it starts servers only.
"""

from __future__ import annotations

import os
import secrets as random_bytes
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from civicbus_deploy.embedded import ground, kafka, own, postgres, registry, secrets
from civicbus_deploy.embedded.ports import HOST
from civicbus_deploy.embedded.processes import ProcessIdentity
from civicbus_deploy.embedded.roll import Roll
from civicbus_deploy.embedded.servers import CORE, Servers
from civicbus_deploy.embedded.state import FORMAT, StateFolder, read_json, write_json
from civicbus_deploy.provisioning.kafka import AdminAccess
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from rich.console import Console

from tests.ports import reserve_block

_PREFIX = "civicbus-test-"

DEADLINE_S = 120.0
"""How long a test waits for what must come. It ends what hangs, and judges no machine's speed."""


class Stack:
    """Running servers and what a test needs to talk to them."""

    def __init__(self, names: Sequence[str] = CORE) -> None:
        self.home = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self.folder = StateFolder(self.home)
        self._reserved, chosen = _reserve_ports()
        document = {"format": FORMAT, "id": random_bytes.token_hex(8), "ports": chosen}
        write_json(self.folder.stack_file, document | {"versions": ground.versions()}, mode=0o644)
        console = Console(stderr=True)
        self._ground = ground.prepare(self.folder, names=names, console=console, say=console.print)
        owner = ProcessIdentity.of(os.getpid())
        assert owner is not None
        write_json(_owner_file(self.folder), {"pid": owner.pid, "started_at": owner.started_at})
        self.ports: Mapping[str, int] = self._ground.ports
        self.servers = Servers(self._ground, names)

    def start(self, *names: str) -> Stack:
        """Start the named servers (all by default) and wait until they answer."""
        self.servers.start(names or None)
        return self

    def stop(self, *names: str) -> None:
        """Stop servers in order; their data stay."""
        self.servers.stop(names or None)

    def kill(self, name: str) -> None:
        """SIGKILL one server; `start(name)` brings it back."""
        self.servers.kill(name)

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """One server keeps its connections and answers nobody while the body runs."""
        pid = self.servers.running[name].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop everything and remove the folder."""
        self.servers.stop()
        self._reserved.close()
        _remove(self.folder)

    @property
    def bootstrap(self) -> str:
        """Kafka's address."""
        return f"{HOST}:{self.ports['kafka']}"

    @property
    def registry_url(self) -> str:
        """The registry as `SchemaRegistryClient` wants it."""
        return registry.url(self.ports["registry"])

    @property
    def postgres_dsn(self) -> str:
        """The database `civicbus`, as its owner (no superuser); shared by the whole run."""
        return self.dsn_file("bus").read_text().strip()

    def dsn_file(self, role: str) -> Path:
        """The file with a role's DSN of that database."""
        return postgres.dsn_file(self.folder, role)

    def create_database(self) -> str:
        """The DSN of a new, empty database of the test's own."""
        name = f"test_{random_bytes.token_hex(4)}"
        password = secrets.read(self.home, "postgres-bus")
        with postgres.connect_admin(self.home, self.ports["postgres"]) as connection:
            postgres.make_database(connection, name, role="bus", password=password)
        return f"postgresql://bus:{password}@{HOST}:{self.ports['postgres']}/{name}"

    def client_config(self, username: str = kafka.ADMIN, **extra: Any) -> dict[str, Any]:
        """librdkafka's settings for a user that exists; extra ones with `_` for `.`."""
        password = secrets.read(self.home, f"kafka-{username}")
        config = kafka.client_config(self.ports["kafka"], username=username, password=password)
        return {**config, **{key.replace("_", "."): value for key, value in extra.items()}}

    @property
    def admin_access(self) -> AdminAccess:
        """The admin's login, as own processes have theirs."""
        password_file = self.folder.secrets / "kafka-admin"
        return AdminAccess(
            bootstrap=self.bootstrap, username=kafka.ADMIN, password_file=password_file
        )

    def admin(self) -> AdminClient:
        """An AdminClient of the admin; keep it referenced while its futures run."""
        return kafka.admin_client(self.home, self.ports["kafka"])

    def create_topics(
        self, *names: str, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        """Create topics and wait for them."""
        admin = self.admin()
        topics = [
            NewTopic(
                name, num_partitions=partitions, replication_factor=1, config=dict(config or {})
            )
            for name in names
        ]
        for future in admin.create_topics(topics).values():
            future.result(DEADLINE_S)

    def create_user(self, name: str) -> Path:
        """Create a SCRAM user, or give it its password again; returns the password's file."""
        path = secrets.get_or_create(self.home, f"kafka-{name}")
        password = secrets.read(self.home, f"kafka-{name}").encode()
        admin = self.admin()
        credential = UserScramCredentialUpsertion(
            name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), password
        )
        for future in admin.alter_user_scram_credentials([credential]).values():
            future.result(DEADLINE_S)
        return path

    def grant(
        self,
        principal: str,
        *operations: AclOperation,
        topic: str | None = None,
        group: str | None = None,
        transactional_id: str | None = None,
        prefixed: bool = False,
    ) -> None:
        """Allow a user operations on one topic, group or transactional id (or a prefix of it)."""
        named = {
            ResourceType.TOPIC: topic,
            ResourceType.GROUP: group,
            ResourceType.TRANSACTIONAL_ID: transactional_id,
        }
        pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
        bindings = [
            AclBinding(
                kind, name, pattern, f"User:{principal}", "*", operation, AclPermissionType.ALLOW
            )
            for kind, name in named.items()
            if name is not None
            for operation in operations
        ]
        admin = self.admin()
        for future in admin.create_acls(bindings).values():
            future.result(DEADLINE_S)


def wait_until(holds: Callable[[], bool], *, timeout_s: float = DEADLINE_S, what: str) -> None:
    """Look again and again until it holds; an error after the timeout."""
    pause, deadline = Event(), time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        pause.wait(0.05)


def sweep() -> None:
    """End and remove what a killed test run has left behind."""
    for home in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        folder = StateFolder(home)
        owner = read_json(_owner_file(folder))
        if owner and ProcessIdentity(owner["pid"], owner["started_at"]).process is None:
            Roll(folder).end_living()
            _remove(folder)


def _reserve_ports() -> tuple[socket.socket, dict[str, int]]:
    """A port for each server and process, and the socket that keeps them from other tests."""
    names = (*ground.SERVER_PORTS, *own.PORTS)
    guard, ports = reserve_block(len(names))
    return guard, dict(zip(names, ports, strict=True))


def _owner_file(folder: StateFolder) -> Path:
    return folder.run / "owner.json"


def _remove(folder: StateFolder) -> None:
    """Remove a folder and its data; also one that an interrupted removal has left in parts."""
    if folder.stack_file.exists():  # else its id is lost, and with it what may lie elsewhere
        shutil.rmtree(postgres.place(folder), ignore_errors=True)
    shutil.rmtree(folder.home, ignore_errors=True)  # another run may be sweeping it too
