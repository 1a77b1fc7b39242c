"""What the supervisor and the tests need to know of a server, and the ground it stands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from civicbus_deploy.embedded.processes import ProcessSpec
from civicbus_deploy.embedded.state import StateFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One state folder with its ports, and the verified files of every part."""

    folder: StateFolder
    ports: Mapping[str, int]
    parts: Mapping[str, tuple[Path, ...]]


class Server(Protocol):
    """A part we did not write. `prepare` and `settle` may be called any number of times."""

    name: str
    needs: tuple[str, ...]  # servers that must be ready before `prepare`
    start_timeout_s: float

    def prepare(self) -> ProcessSpec:
        """Write configuration, format what is empty, and say how to start it."""

    def is_ready(self) -> bool:
        """Whether it answers; never raises because it does not."""

    def settle(self) -> None:
        """Create what later steps rely on, once it is ready."""
