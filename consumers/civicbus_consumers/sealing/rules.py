"""When witnesses are asked, and how long sealing goes on without a quorum of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fuse(StrEnum):
    """How long the newest leaves have waited for a quorum."""

    WHOLE = "whole"
    WARNING = "warning"
    BLOWN = "blown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """In seconds: when to warn, when to stop, how often to try, and how old a cosignature gets."""

    warn_s: float
    stop_s: float
    retry_s: float = 1.0
    refresh_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Times on one monotonic clock: since when something waits, the last success, the last try."""

    since: float | None
    cosigned: float
    tried: float


def judge(waiting: Waiting, limits: Limits, *, now: float) -> Fuse:
    """What the un-witnessed time means."""
    waited_s = unwitnessed_s(waiting, now=now)
    if waited_s >= limits.stop_s:
        return Fuse.BLOWN
    return Fuse.WARNING if waited_s >= limits.warn_s else Fuse.WHOLE


def unwitnessed_s(waiting: Waiting, *, now: float) -> float:
    """How long the oldest leaf without a quorum has waited; 0 when there is none."""
    return 0.0 if waiting.since is None else max(0.0, now - waiting.since)


def is_due(waiting: Waiting, limits: Limits, *, now: float) -> bool:
    """Whether to ask now.

    What is new is asked for at once; a failure is followed by a pause; what is cosigned is
    cosigned again after a while, so that readers can tell that it is the newest.
    """
    if waiting.since is None:
        return now - max(waiting.cosigned, waiting.tried) >= limits.refresh_s
    return waiting.tried < waiting.cosigned or now - waiting.tried >= limits.retry_s
