"""How much each agreement may still release in this second. Pure: the time is given.

A bucket per limited agreement, which fills with the limit's rate up to a second's worth. When its
process begins it is empty: so restarts cannot add up to more than was agreed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from civicbus_schemas.ids import AgreementRef


@dataclass(slots=True)
class _Bucket:
    filled: float
    at: datetime


class Allowances:
    """What is left of the limits, in a process that has one of `shares` equal shares of them."""

    def __init__(self, *, begun: datetime, shares: int = 1) -> None:
        self._begun, self._shares = begun, shares
        self._buckets: dict[AgreementRef, _Bucket] = {}

    def take(
        self,
        agreements: Iterable[AgreementRef],
        per_second: Mapping[AgreementRef, int],
        at: datetime,
    ) -> float:
        """Take one release of each, or nothing: then the seconds to wait, 0.0 if they were taken.

        An agreement that `per_second` does not name has no limit.
        """
        buckets = [
            (bucket, rate)
            for ref in agreements
            if ref in per_second
            for bucket, rate in [self._refilled(ref, per_second[ref] / self._shares, at)]
        ]
        wait_s = max((max(0.0, 1 - bucket.filled) / rate for bucket, rate in buckets), default=0.0)
        if wait_s == 0.0:
            for bucket, _ in buckets:
                bucket.filled -= 1
        return wait_s

    def _refilled(self, ref: AgreementRef, rate: float, at: datetime) -> tuple[_Bucket, float]:
        bucket = self._buckets.setdefault(ref, _Bucket(0.0, self._begun))
        passed_s = max(0.0, (at - bucket.at).total_seconds())
        bucket.filled = min(max(1.0, rate), bucket.filled + passed_s * rate)
        bucket.at = max(bucket.at, at)
        return bucket, rate
