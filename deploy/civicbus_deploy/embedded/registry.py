"""Apicurio, the schema registry, on PostgreSQL, speaking Confluent's API."""

from __future__ import annotations

import httpx

from civicbus_deploy.embedded import artifacts, java, secrets
from civicbus_deploy.embedded.asking import succeeds
from civicbus_deploy.embedded.failures import ServerFailed
from civicbus_deploy.embedded.ports import HOST
from civicbus_deploy.embedded.processes import ProcessSpec
from civicbus_deploy.embedded.server import Ground

COMPATIBILITY = "FULL_TRANSITIVE"


def url(port: int) -> str:
    """Where `SchemaRegistryClient` finds it."""
    return f"http://{HOST}:{port}/apis/ccompat/v7"


class Registry:
    """The schemas. Ready in three to four seconds."""

    name = "registry"
    needs: tuple[str, ...] = ("postgres",)
    start_timeout_s = 120.0

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._home = ground.folder.home / self.name
        self._url = url(ground.ports["registry"])

    def prepare(self) -> ProcessSpec:
        """Unpack and verify the application, and say how to start it."""
        self._home.mkdir(mode=0o700, exist_ok=True)
        (artifact,) = artifacts.committed(self.name)
        (archive,) = self._ground.parts[self.name]
        application = artifacts.unpacked(artifact, archive, into=archive.parent)
        arguments = [
            *java.options(heap_mib=128, temporary=self._home / "tmp"),
            "-jar",
            str(application / "quarkus-run.jar"),
        ]
        return ProcessSpec(
            name=self.name,
            command=java.command(arguments, argfile=self._home / "start.args"),
            log=self._ground.folder.log(self.name),
            cwd=self._home,
            env=self._environment(),
        )

    def _environment(self) -> dict[str, str]:
        ports = self._ground.ports
        return {
            "QUARKUS_HTTP_HOST": HOST,
            "QUARKUS_HTTP_PORT": str(ports["registry"]),
            "QUARKUS_MANAGEMENT_HOST": HOST,
            "QUARKUS_MANAGEMENT_PORT": str(ports["registry_management"]),
            "QUARKUS_HTTP_ACCESS_LOG_ENABLED": "false",
            "QUARKUS_LOG_LEVEL": "WARN",
            "APICURIO_STORAGE_SQL_KIND": "postgresql",
            "APICURIO_DATASOURCE_URL": f"jdbc:postgresql://{HOST}:{ports['postgres']}/registry",
            "APICURIO_DATASOURCE_USERNAME": "registry",
            "APICURIO_DATASOURCE_PASSWORD": secrets.read(
                self._ground.folder.home, "postgres-registry"
            ),
            "APICURIO_DATASOURCE_JDBC_INITIAL_SIZE": "1",
            "APICURIO_DATASOURCE_JDBC_MIN_SIZE": "1",
            "APICURIO_DATASOURCE_JDBC_MAX_SIZE": "10",
        }

    def is_ready(self) -> bool:
        """Whether it lists its subjects."""
        return succeeds(f"{self._url}/subjects")

    def settle(self) -> None:
        """Refuse incompatible schemas everywhere, unless provisioning says otherwise by subject."""
        answer = httpx.put(f"{self._url}/config", json={"compatibility": COMPATIBILITY}, timeout=10)
        if not answer.is_success:
            raise ServerFailed(
                "the schema registry did not take its compatibility rule",
                got=f"HTTP {answer.status_code}",
                expected="200",
                next_step="see logs/registry.log, then civicbus up",
            )
