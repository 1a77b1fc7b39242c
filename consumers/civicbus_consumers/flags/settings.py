"""What the flags process reads from its settings file."""

from __future__ import annotations

from pathlib import Path

from civicbus_schemas.topics import AUDIT_PAGE, FLAGS

from civicbus_consumers.population.settings import WorkerSettings
from civicbus_consumers.recording.settings import PageSettings


class FlagsSettings(PageSettings, WorkerSettings):
    """Whose pages count, and the reference: a file that may be absent, read anew on a change."""

    recorder_keys_file: Path
    reference_file: Path

    @property
    def group(self) -> str:
        """The consumer group."""
        return FLAGS

    @property
    def topics(self) -> tuple[str, ...]:
        """The page topic."""
        return (AUDIT_PAGE,)
