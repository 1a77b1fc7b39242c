"""How many names in the vault each agency may have made: a row there is for good.

Every question names somebody in its record, so whoever holds a token makes rows. What is made is
counted after the vault has answered, and who is over the allowance is refused at the door until
time has worked it off: so the excess is one batch, and the vault is asked no oftener than before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from civicbus_schemas.ids import AgencyId
from civicbus_schemas.subject import Secret

PER_S = 100.0
AT_ONCE = 100_000


@dataclass(slots=True)
class NameAllowance:
    """`at_once` new names for each agency, which come back at `per_s`; for several threads."""

    per_s: float = PER_S
    at_once: int = AT_ONCE
    clock: Callable[[], float] = time.monotonic
    _spent: dict[AgencyId, tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def permits(self, agency: AgencyId) -> bool:
        """Whether an agency may ask at all now."""
        with self._lock:
            return self._spent_by(agency) < self.at_once

    def charge(self, agency: AgencyId, secrets: Iterable[Secret], *, since: datetime) -> None:
        """Count those that were made for an agency since it asked."""
        made = sum(secret.since >= since for secret in secrets)
        if made:
            with self._lock:
                self._spent[agency] = self._spent_by(agency) + made, self.clock()

    def _spent_by(self, agency: AgencyId) -> float:
        spent, at = self._spent.get(agency, (0.0, 0.0))
        return max(0.0, spent - (self.clock() - at) * self.per_s)
