"""The publisher in memory; agencies have the same one in `civicbus_producers.testing`.

Switches on `.producer`: `fails_and_did_not_persist`, `fails_but_persisted`, `queue_full`, `silent`.
"""

from __future__ import annotations

from collections.abc import Sequence

from civicbus_producers.testing import UnsafeMemoryLog, UnsafeMemoryPublisher


def fake_publisher(
    agency: str = "moj",
    *,
    families: Sequence[str] = ("civil-status",),
    log: UnsafeMemoryLog | None = None,
) -> UnsafeMemoryPublisher:
    """A publisher whose messages end in `.log`."""
    return UnsafeMemoryPublisher(agency, families=families, log=log)
