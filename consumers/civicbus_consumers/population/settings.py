"""What the population process reads from its settings file."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from civicbus_schemas.ids import AgencyId
from civicbus_schemas.topics import delivery_topic

from civicbus_consumers.runtime.settings import ProcessSettings

FAMILIES = ("civil-status", "identity", "residence")


class WorkerSettings(ProcessSettings):
    """What every Faust worker of ours has: a database, and how much it takes at once."""

    postgres_dsn_file: Path
    batch_messages: int = 2000
    batch_wait_s: float = 0.05

    @property
    @abstractmethod
    def group(self) -> str:
        """The consumer group."""

    @property
    @abstractmethod
    def topics(self) -> tuple[str, ...]:
        """What it reads."""


class PopulationSettings(WorkerSettings):
    """The population agency's own system: it logs in as that agency and reads its deliveries."""

    agency: str

    @property
    def group(self) -> str:
        """The consumer group; an agency's groups begin with its name."""
        return f"{self.agency}.population"

    @property
    def topics(self) -> tuple[str, ...]:
        """The delivery topics that feed the view."""
        return tuple(delivery_topic(AgencyId(self.agency), family) for family in FAMILIES)
