"""What one consent process holds: the same partition numbers of every source and of the state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.topics import (
    CONSENT_FAMILY,
    GROUPS,
    STATE_CONSENT,
    SourceTopic,
    consent_group,
    partitions_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Territory:
    """Group k of `groups`. `name` is its `transactional.id` and its `group.id`."""

    group: int
    groups: int = GROUPS
    sources: tuple[SourceTopic, ...]
    state: str = STATE_CONSENT

    @property
    def name(self) -> str:
        """`consent-k`."""
        return consent_group(self.group)

    @property
    def partitions(self) -> list[int]:
        """The partition numbers p with p mod `groups` = `group`."""
        return partitions_of(self.group, groups=self.groups)


def consent_sources(topics: Iterable[str]) -> tuple[SourceTopic, ...]:
    """The source topics of the consent family among these names, in order."""
    sources = set[SourceTopic]()
    for name in topics:
        try:
            source = SourceTopic.parse(name)
        except InvalidIdentifier:
            continue
        if source.family == CONSENT_FAMILY:
            sources.add(source)
    return tuple(sorted(sources))
