"""Apache Kafka: one KRaft node on loopback with SCRAM users, ACLs and no automatic topics."""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path
from typing import Any

from civicbus_producers.ends import read_high_watermarks
from civicbus_schemas.errors import BusError
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from civicbus_deploy.embedded import java, secrets
from civicbus_deploy.embedded.failures import ServerFailed
from civicbus_deploy.embedded.ports import HOST, accepts
from civicbus_deploy.embedded.processes import ProcessSpec
from civicbus_deploy.embedded.server import Ground
from civicbus_deploy.embedded.state import write_file

ADMIN = "admin"
_REQUEST_S = 2
SECURITY_PROTOCOL = "SASL_PLAINTEXT"
SASL_MECHANISM = "SCRAM-SHA-512"
_SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule"
_PLAIN_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={host}:{controller}
listeners=CLIENT://{host}:{client},CONTROLLER://{host}:{controller}
advertised.listeners=CLIENT://{host}:{client}
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
sasl.mechanism.controller.protocol=PLAIN
listener.name.client.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.client.scram-sha-512.sasl.jaas.config={scram} required \
username="admin" password="{admin_password}";
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config={plain} required \
username="controller" password="{controller_password}" user_controller="{controller_password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:controller
allow.everyone.if.no.acl.found=false
auto.create.topics.enable=false
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
offsets.retention.minutes=5256000
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.consumer.assignment.interval.ms=0
message.max.bytes=8388608
socket.request.max.bytes=16777216
"""

_LOGGING = """\
Configuration:
  status: error
  Appenders:
    Console:
      name: out
      PatternLayout:
        pattern: "%d{ISO8601} %p %c{1} %m%n"
  Loggers:
    Root:
      level: warn
      AppenderRef:
        ref: out
"""


class Kafka:
    """The log. Ready in about seven seconds from an empty folder."""

    name = "kafka"
    needs: tuple[str, ...] = ()
    start_timeout_s = 150.0

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._home = ground.folder.home / self.name

    def prepare(self) -> ProcessSpec:
        """Write the properties, format the log folder once, and say how to start the broker."""
        self._home.mkdir(mode=0o700, exist_ok=True)
        write_file(self._home / "server.properties", self._properties().encode())
        write_file(self._home / "logging.yaml", _LOGGING.encode())
        if not (self._home / "data" / "meta.properties").exists():
            self._format()
        arguments = [
            *java.options(heap_mib=768, temporary=self._home / "tmp", quick=False),
            f"-Dlog4j2.configurationFile={self._home / 'logging.yaml'}",
            "-cp",
            self._jars,
            "kafka.Kafka",
            str(self._home / "server.properties"),
        ]
        return ProcessSpec(
            name=self.name,
            command=java.command(arguments, argfile=self._home / "start.args"),
            log=self._ground.folder.log(self.name),
            cwd=self._home,
            stop_timeout_s=30,
        )

    @property
    def _jars(self) -> str:
        return ":".join(map(str, self._ground.parts[self.name]))

    def _properties(self) -> str:
        home = self._ground.folder.home
        for name in ("kafka-admin", "kafka-controller"):
            secrets.get_or_create(home, name)
        return _PROPERTIES.format(
            host=HOST,
            client=self._ground.ports["kafka"],
            controller=self._ground.ports["kafka_controller"],
            data=self._home / "data",
            scram=_SCRAM_LOGIN,
            plain=_PLAIN_LOGIN,
            admin_password=secrets.read(home, "kafka-admin"),
            controller_password=secrets.read(home, "kafka-controller"),
        )

    def _format(self) -> None:
        """Format an empty log folder. The tool prints stored credentials: its output is dropped."""
        password = secrets.read(self._ground.folder.home, "kafka-admin")
        argfile = self._home / "format.args"
        command = java.command(
            [
                *java.options(heap_mib=256, temporary=self._home / "tmp"),
                f"-Dlog4j2.configurationFile={self._home / 'logging.yaml'}",
                *("-cp", self._jars, "kafka.tools.StorageTool", "format"),
                *("--cluster-id", _cluster_id()),
                *("--config", str(self._home / "server.properties"), "--standalone"),
                *("--ignore-formatted", "--add-scram"),
                f'{SASL_MECHANISM}=[name="{ADMIN}",password="{password}",iterations=8192]',
            ],
            argfile=argfile,
        )
        try:
            done = subprocess.run(  # noqa: S603
                command, cwd=self._home, capture_output=True, timeout=120, check=False
            )
        finally:
            argfile.unlink()
        if done.returncode:
            raise ServerFailed(
                "Kafka's log folder could not be formatted",
                got=f"exit code {done.returncode}",
                expected="0",
                next_step=f"check the disk and the mode of {self._home}, then civicbus doctor",
            )

    def is_ready(self) -> bool:
        """Whether the broker accepts the admin user, and serves every partition that it names.

        After a start it names them before it leads them, and who asks one then is refused.
        """
        port = self._ground.ports["kafka"]
        if not accepts(port):
            return False
        admin = admin_client(self._ground.folder.home, port)
        try:
            named = admin.list_topics(timeout=_REQUEST_S).topics
            places = [(topic, number) for topic in named for number in named[topic].partitions]
            read_high_watermarks(admin, places, timeout_s=_REQUEST_S)
        except (KafkaException, BusError):
            return False
        return True

    def settle(self) -> None:
        """Nothing: topics and users are provisioning's."""


def client_config(port: int, *, username: str, password: str) -> dict[str, str | int | float]:
    """The connection of one SCRAM user as librdkafka names it."""
    return {
        "bootstrap.servers": f"{HOST}:{port}",
        "security.protocol": SECURITY_PROTOCOL,
        "sasl.mechanism": SASL_MECHANISM,
        "sasl.username": username,
        "sasl.password": password,
    }


def admin_client(home: Path, port: int) -> AdminClient:
    """An AdminClient of the admin user, silent about connections that fail."""
    config = client_config(port, username=ADMIN, password=secrets.read(home, "kafka-admin"))
    silent: dict[str, Any] = {"log_level": 0, "error_cb": lambda _error: None}
    return AdminClient({**config, **silent})


def _cluster_id() -> str:
    """22 characters, as Kafka draws them itself: one that begins with `-` reads as an option."""
    while (drawn := base64.urlsafe_b64encode(uuid.uuid4().bytes)[:22].decode()).startswith("-"):
        pass
    return drawn
