"""For how long a nation keeps its ledger, before two officials may order that it is pruned.

Where no such period is said, nothing may ever be pruned (C2SP tlog-tiles, section Pruning).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.terms import exactly, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Whole years that a leaf is kept at least, and which law or decision says so."""

    ledger_years: int
    source: str

    @property
    def rule(self) -> str:
        """As the leaf names it that prunes."""
        return f"ledger-years:{self.ledger_years}"

    def kept_since(self, now: datetime) -> datetime:
        """What is younger than this is kept."""
        try:
            return now.replace(year=now.year - self.ledger_years)
        except ValueError:  # 29 February
            return now.replace(year=now.year - self.ledger_years, day=28)


def parse_retention(body: Any) -> Retention:
    """The period in a nation's document; raises `InvalidAgreement`."""
    exactly(body, {"ledger_years", "source"}, where="retention")
    years = body["ledger_years"]
    if type(years) is not int or not 1 <= years <= 1000:
        raise InvalidAgreement("retention: ledger_years", got=years, expected="1 to 1000")
    return Retention(ledger_years=years, source=text(body["source"], where="retention: source"))
