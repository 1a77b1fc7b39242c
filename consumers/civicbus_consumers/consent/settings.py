"""The settings of one consent process."""

from __future__ import annotations

from pathlib import Path

from civicbus_consumers.runtime.settings import ProcessSettings


class ConsentSettings(ProcessSettings):
    """It holds the partitions p with p mod `groups` = `group`."""

    group: int
    groups: int
    topic_key_file: Path
