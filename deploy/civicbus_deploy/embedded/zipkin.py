"""Zipkin, which shows traces, and the process of ours that turns OTLP into what it takes."""

from __future__ import annotations

import sys

from civicbus_deploy.embedded import java
from civicbus_deploy.embedded.asking import succeeds
from civicbus_deploy.embedded.ports import HOST
from civicbus_deploy.embedded.processes import ProcessSpec
from civicbus_deploy.embedded.server import Ground

_MAX_SPANS = 50_000


class Zipkin:
    """The traces, in memory only: they are a convenience, never evidence."""

    name = "zipkin"
    needs: tuple[str, ...] = ()
    start_timeout_s = 120.0

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._home = ground.folder.home / self.name
        self._port = ground.ports["zipkin"]

    def prepare(self) -> ProcessSpec:
        """Say how to start it."""
        self._home.mkdir(mode=0o700, exist_ok=True)
        (application,) = self._ground.parts[self.name]
        arguments = [
            *java.options(heap_mib=256, temporary=self._home / "tmp"),
            "-jar",
            str(application),
        ]
        return ProcessSpec(
            name=self.name,
            command=java.command(arguments, argfile=self._home / "start.args"),
            log=self._ground.folder.log(self.name),
            cwd=self._home,
            env={  # all three port variables, or Zipkin chooses another port
                "ARMERIA_PORTS_0_ADDRESS": HOST,
                "ARMERIA_PORTS_0_PORT": str(self._port),
                "ARMERIA_PORTS_0_PROTOCOLS_0": "HTTP",
                "MEM_MAX_SPANS": str(_MAX_SPANS),
                "LOGGING_LEVEL_ROOT": "WARN",
            },
        )

    def is_ready(self) -> bool:
        """Whether it says that it is healthy."""
        return succeeds(f"http://{HOST}:{self._port}/health")

    def settle(self) -> None:
        """Nothing."""


class OtlpBridge:
    """Our bridge from OTLP/HTTP to Zipkin."""

    name = "otlp"
    needs: tuple[str, ...] = ()
    start_timeout_s = 30.0

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def prepare(self) -> ProcessSpec:
        """Say how to start it."""
        ports = self._ground.ports
        return ProcessSpec(
            name=self.name,
            command=(
                *(sys.executable, "-P", "-m", "civicbus_deploy.embedded.otlp_bridge"),
                *("--port", str(ports["otlp"]), "--zipkin-port", str(ports["zipkin"])),
            ),
            log=self._ground.folder.log(self.name),
            cwd=self._ground.folder.home,
        )

    def is_ready(self) -> bool:
        """Whether it listens."""
        return succeeds(f"http://{HOST}:{self._ground.ports['otlp']}/livez")

    def settle(self) -> None:
        """Nothing."""
