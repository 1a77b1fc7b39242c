"""The note that every commit leaves in its offsets' metadata; what a successor settles from. Pure.

It names recorder, page and page hash of the newest released page, the attempt, and, in careful
mode, the one event under way. The note must fit the broker's `offset.metadata.max.bytes` (4,096).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from civicbus_schemas.errors import Stopped
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.page import PageRef

CAREFUL_AFTER = 3  # crashes at one place before events are taken one by one

_NOTE = re.compile(
    r"v1 attempt=(?P<attempt>\d{1,9})"
    r"(?: page=(?P<recorder>[0-9a-f]{32}):(?P<sequence>\d{1,18}):(?P<hash>[0-9a-f]{64}))?"
    r"(?: suspect=(?P<topic>[a-z0-9.-]{1,200}):(?P<partition>\d{1,6}):(?P<offset>\d{1,18}))?"
)


@dataclass(frozen=True, slots=True, order=True)
class Coordinates:
    """Where a message lies."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a predecessor left behind.

    `attempt` counts the starts since the last commit of a batch; `suspect` is the event that was
    taken alone and had not been committed when the note was written.
    """

    attempt: int = 0
    page: PageRef | None = None
    suspect: Coordinates | None = None

    @property
    def careful(self) -> bool:
        """Whether events are to be taken one by one."""
        return self.attempt >= CAREFUL_AFTER

    def next_attempt(self) -> Note:
        """The note that a successor commits before its first batch."""
        return replace(self, attempt=self.attempt + 1)

    def __str__(self) -> str:
        text = f"v1 attempt={self.attempt}"
        if self.page is not None:
            text += f" page={self.page.recorder}:{self.page.sequence}:{self.page.hash}"
        if self.suspect is not None:
            s = self.suspect
            text += f" suspect={s.topic}:{s.partition}:{s.offset}"
        return text

    @classmethod
    def parse(cls, text: str | None) -> Note:
        """The note in an offset's metadata; empty metadata is provisioning's first commit.

        Raises `Stopped` when it is not ours: then somebody else has moved the offsets.
        """
        if not text:
            return cls()
        found = _NOTE.fullmatch(text)
        if found is None:
            raise Stopped(
                "the committed offsets carry a note that is not ours",
                got=f"{len(text)} characters",
                next_step="find out who committed for this group before starting it again",
            )
        page = suspect = None
        if found["recorder"]:
            page = PageRef(
                recorder=RecorderId(found["recorder"]),
                sequence=int(found["sequence"]),
                hash=found["hash"],
            )
        if found["topic"]:
            suspect = Coordinates(found["topic"], int(found["partition"]), int(found["offset"]))
        return cls(attempt=int(found["attempt"]), page=page, suspect=suspect)


FRESH = Note()
