"""The settings of the process that knows what lies unread."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from civicbus_producers.settings import require_private_path
from pydantic import model_validator

from civicbus_consumers.runtime.settings import ProcessSettings


class UnreadSettings(ProcessSettings):
    """Where it listens, and the token of the one process that asks it.

    It speaks plain HTTP and so listens on loopback only.
    """

    host: str
    port: int
    token_file: Path
    body_timeout_s: float = 3.0
    max_connections: int = 32

    @model_validator(mode="after")
    def _no_answers_in_the_clear(self) -> Self:
        require_private_path(f"{self.host}:{self.port}", security_protocol="PLAINTEXT")
        return self
