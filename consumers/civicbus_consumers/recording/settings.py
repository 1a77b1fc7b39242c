"""The settings of every process that records decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self

from civicbus_producers.settings import InvalidSettings, require_private_path
from pydantic import Field, model_validator

from civicbus_consumers.recording import naming
from civicbus_consumers.recording.fuse import Fuse, Unwatched, sealing_fuse
from civicbus_consumers.runtime.settings import ProcessSettings

MAX_LIMIT_S = 4 * 3600.0
"""As long as sealing itself may wait for its witnesses."""


class VaultSettings(Protocol):
    """Where the vault is, and the key without which its rows say nothing."""

    @property
    def vault_key_file(self) -> Path: ...
    @property
    def vault_dsn_file(self) -> Path: ...


class PageSettings(ProcessSettings):
    """The key of signatures, and how far sealing may be behind while pages are written.

    `sealing_limit_s` is in seconds; None watches nothing, which production does not allow.
    """

    signing_key_file: Path
    sealing_limit_s: float | None = Field(default=60.0, gt=0, le=MAX_LIMIT_S)

    @model_validator(mode="after")
    def _nothing_unsealed_in_production(self) -> Self:
        if self.sealing_limit_s is None and self.environment == "production":
            raise InvalidSettings(
                "sealing is not watched", expected="sealing_limit_s in seconds, such as 60"
            )
        return self


class RecordingSettings(PageSettings):
    """And the vault of names and sealing keys, for records that name somebody."""

    vault_key_file: Path
    vault_dsn_file: Path


class AnsweringSettings(RecordingSettings):
    """Where a process that records answers, how long it reads a body, how many it serves at once.

    An agency's questions may have `names_at_once` new rows made in the vault, which come back at
    `names_per_s`. It speaks plain HTTP and so listens on loopback only; TLS ends in front of it.
    """

    host: str
    port: int
    names_per_s: float = Field(default=naming.PER_S, gt=0)
    names_at_once: int = Field(default=naming.AT_ONCE, gt=0)
    body_timeout_s: float = 3.0

    def allowance(self) -> naming.NameAllowance:
        """What each agency may have made; one for all rooms of a process."""
        return naming.NameAllowance(per_s=self.names_per_s, at_once=self.names_at_once)

    max_connections: int

    @model_validator(mode="after")
    def _no_answers_in_the_clear(self) -> Self:
        require_private_path(f"{self.host}:{self.port}", security_protocol="PLAINTEXT")
        return self


def fuse_of(settings: PageSettings) -> Fuse:
    """The fuse that these settings ask for."""
    if settings.sealing_limit_s is None:
        return Unwatched()
    return sealing_fuse(settings, limit_s=settings.sealing_limit_s, client_id=settings.name)
