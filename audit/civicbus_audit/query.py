"""What to look for in the ledger: the same question to the index and to the bundles. Pure.

The index answers by SQL (`index.searching`); `matches` is the second way, leaf by leaf, which needs
no database and believes none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from civicbus_schemas.errors import Refused
from civicbus_schemas.vocabulary import DECISION_KINDS, Outcome, RecordKind

DISCLOSING = [outcome.value for outcome in Outcome if outcome.discloses]
BYTES = ("id", "subject", "officer", "case_id")
TEXTS = (
    "kind",
    "recipient",
    "actor",
    "agreement",
    "dataset",
    "event_id",
    "purpose",
    "basis",
    "decision",
    "reason",
    "rule",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to look for; None asks for nothing. Pseudonyms and ids are hex.

    `decided` asks for decisions about somebody's data, `disclosed` for those that gave it.
    `except_…` leaves out kinds, or an officer's own leaves. `only_deferred` leaves out readings of
    investigations but for those leaves; so it leaves out one that nobody knew of when it was asked.
    `flagged` asks for what a flag of that word was raised about: only the index can tell, since a
    flag is another leaf.
    """

    id: str | None = None
    kind: str | None = None
    decided: bool = False
    disclosed: bool = False
    subject: str | None = None
    recipient: str | None = None
    actor: str | None = None
    officer: str | None = None
    case_id: str | None = None
    agreement: str | None = None
    dataset: str | None = None
    event_id: str | None = None
    purpose: str | None = None
    basis: str | None = None
    decision: str | None = None
    reason: str | None = None
    rule: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    except_kinds: tuple[str, ...] = ()
    except_officer: str | None = None
    only_deferred: tuple[int, ...] | None = None
    flagged: str | None = None
    offset: int = 0
    limit: int = 50

    def needles(self) -> tuple[bytes, ...]:
        """What the bytes of every matching record must contain, so that most need no decoding."""
        ids = [bytes.fromhex(value) for name in BYTES if (value := getattr(self, name))]
        return (*ids, *(value.encode() for name in TEXTS if (value := getattr(self, name))))

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether a leaf matches, by its row (`index.rows`), whatever `offset` and `limit` are."""
        return self.predicate()(row)

    def predicate(self) -> Callable[[Mapping[str, Any]], bool]:
        """`matches` for many rows; raises `Refused` for `flagged`, which no row tells of itself."""
        if self.flagged is not None:
            raise Refused("what was flagged is told by other leaves", expected="the index")
        wanted = [(n, bytes.fromhex(v)) for n in BYTES if (v := getattr(self, n)) is not None]
        wanted += [(n, v) for n in TEXTS if (v := getattr(self, n)) is not None]

        def matches(row: Mapping[str, Any]) -> bool:
            return (
                all(row.get(name) == value for name, value in wanted)
                and (not self.decided or row["kind"] in DECISION_KINDS)
                and (not self.disclosed or row.get("decision") in DISCLOSING)
                and (self.before is None or row["index"] < self.before)
                and row["kind"] not in self.except_kinds
                and self._may_be_known(row)
                and not self._is_by_excepted(row.get("officer"))
                and self._within(row.get("at"))
            )

        return matches

    def _may_be_known(self, row: Mapping[str, Any]) -> bool:
        return (
            self.only_deferred is None
            or row["kind"] != RecordKind.ACCESS_DEFERRED
            or row["index"] in self.only_deferred
        )

    def _is_by_excepted(self, officer: bytes | None) -> bool:
        return officer is not None and officer.hex() == self.except_officer

    def _within(self, at: datetime | None) -> bool:
        if at is None:
            return self.since is None and self.until is None
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)
