"""How many bytes a second each agency and each recorder may write, so that none floods all others.

Pure. Whoever may publish events or write pages has a quota; the broker makes whoever exceeds it
wait. A flood that is slow enough to pass delays enforcement and sealing at most, and then recorders
stop by their fuse. The operator's administrator, who records announcements and orders, has none: he
could lift it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MIB = 1024 * 1024
PRODUCER_BYTE_RATE = "producer_byte_rate"
"""The broker's own name. There is no `request_percentage`: it counts a thread's waiting for the
disk, so that a slow disk would throttle honest recorders."""

DEFAULT_BYTES_S = 2 * MIB
"""Some 3,700 records of 560 bytes in pages, their sealed parts among them."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Quota:
    """What a principal may write to the broker, to all topics together."""

    principal: str
    bytes_s: int

    def __str__(self) -> str:
        return f"{self.principal} to {self.bytes_s / MIB:g} MiB/s"


def quotas_of(writers: Iterable[str], exceptions: Mapping[str, int]) -> tuple[Quota, ...]:
    """A quota for each of these, the default but where there is an exception."""
    return tuple(
        Quota(principal=name, bytes_s=exceptions.get(name, DEFAULT_BYTES_S))
        for name in sorted(set(writers))
    )
