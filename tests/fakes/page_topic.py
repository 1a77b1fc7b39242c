"""The page topic in memory (`scrubbing.topic.Pages`), with a beginning that somebody may move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from civicbus_audit.sequencing import PageMessage


class FakePages:
    """`messages[i]` has offset i; those before `low` are gone."""

    def __init__(self, messages: Sequence[PageMessage], *, low: int = 0) -> None:
        self.messages, self.low = list(messages), low

    def first_since(self, at: datetime) -> int:
        late = (m.offset for m in self.messages[self.low :] if m.at >= at)
        return next(late, len(self.messages))

    def read(self, begin: int, end: int) -> Iterator[PageMessage]:
        yield from self.messages[max(begin, self.low) : end]

    def close(self) -> None:
        """Nothing is held."""
