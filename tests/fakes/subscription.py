"""The subscription in memory; agencies have the same one in `civicbus_consumers.testing`.

Switches on `.consumer`: `fails_and_did_not_persist`, `fails_but_persisted`, `revoke`, `restore`.
"""

from __future__ import annotations

from collections.abc import Sequence

from civicbus_consumers.testing import UnsafeMemorySubscription
from civicbus_producers.testing import UnsafeMemoryLog


def fake_subscription(
    agency: str = "vss",
    *,
    families: Sequence[str] = ("civil-status",),
    log: UnsafeMemoryLog | None = None,
    name: str = "main",
) -> UnsafeMemorySubscription:
    """A subscription to what lies in `.log`."""
    return UnsafeMemorySubscription(agency, families=families, log=log, name=name)
