"""The page topic in memory (`scrubbing.topic.Pages`), with a beginning that somebody may move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from civicbus_audit.sequencing import PageMessage


class FakePages:
    """In the order of their offsets; those before `low` are gone."""

    def __init__(self, messages: Sequence[PageMessage], *, low: int = 0) -> None:
        self.messages, self.low = list(messages), low

    def first_since(self, at: datetime) -> int:
        late = (m.offset for m in self.messages if m.at >= at and m.offset >= self.low)
        return next(late, self.messages[-1].offset + 1)

    def read(self, begin: int, end: int) -> Iterator[PageMessage]:
        yield from (m for m in self.messages if max(begin, self.low) <= m.offset < end)

    def close(self) -> None:
        """Nothing is held."""
