"""The settings of one process: one frozen object, read once in `app.py`.

Read from the JSON file that `--settings` names; a variable `CIVICBUS_<KEY>` overrides a key.
Secrets are paths to files of mode 0600, never values.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Literal, Self

from civicbus_producers.settings import InvalidSettings, require_private_path
from pydantic import ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)


class OwnSettings(BaseSettings):
    """What every process has; each room adds its own keys."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="CIVICBUS_", hide_input_in_errors=True
    )

    name: str
    environment: Literal["development", "production"]
    health_port: int

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables first, then the file; no other source."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @classmethod
    def read(cls, path: Path) -> Self:
        """The settings in this file; raises `InvalidSettings`, which names the bad keys."""
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise InvalidSettings(
                "the settings cannot be read", got=f"{path}: {type(error).__name__}"
            ) from None
        try:
            return cls(**document)
        except ValidationError as error:
            keys = sorted({".".join(map(str, e["loc"])) or e["msg"] for e in error.errors()})
            raise InvalidSettings(
                f"bad settings in {path}", got=keys, next_step="let `civicbus up` write them anew"
            ) from None

    @classmethod
    def from_command_line(cls, arguments: list[str] | None = None) -> Self:
        """The settings that `--settings FILE` names."""
        parser = argparse.ArgumentParser(description=sys.modules[cls.__module__].__doc__)
        parser.add_argument("--settings", type=Path, required=True, metavar="FILE")
        return cls.read(parser.parse_args(arguments).settings)


class ProcessSettings(OwnSettings):
    """What a process has that speaks to the broker."""

    bootstrap: str
    security_protocol: Literal["SASL_PLAINTEXT", "SASL_SSL"]
    sasl_mechanism: Literal["SCRAM-SHA-512"]
    username: str
    password_file: Path
    registry_url: str
    otlp_endpoint: str | None = None
    trace_ratio: float = 0.001

    @model_validator(mode="after")
    def _no_data_in_the_clear(self) -> Self:
        require_private_path(self.bootstrap, security_protocol=self.security_protocol)
        return self


def configure_logs() -> None:
    """JSON lines on stderr for us, warnings and above for the libraries under us."""
    import structlog  # here, so that reading settings needs no logging library

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s %(message)s")
