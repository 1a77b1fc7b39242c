"""Whether what the ledger tells kept to the fences of withdrawals. Pure, and trusts no clock.

1. A page that stands at or past a withdrawal permits nothing on that consent.
2. What rests on a consent rests on the consent state that its page stands at.
3. The positions of a recorder never go back from page to page.
4. A successor begins at or past the page at which it closes its predecessor,
5. and its predecessor claims no release after that page.

By 3 to 5 the released pages of a group are one chain on which positions only grow. A fence cuts it
in two, and by 1 no page behind the cut rests on the consent that was withdrawn.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from civicbus_schemas.errors import EvidenceBroken, Refused
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.page import HEADER_LEAF, HeaderLeaf, PageHeader
from civicbus_schemas.record import RECORD, Record
from civicbus_schemas.topics import STATE_CONSENT
from civicbus_schemas.vocabulary import ConsentAct, Reason, RecordKind

Place = tuple[str, int]
"""A partition of a state topic."""

# Acts upon a consent name it too, and rest on no state.
_ACTS = frozenset(RecordKind(f"consent.{act}") for act in ConsentAct)


class Rule(StrEnum):
    """What was broken, in the order of this module's list."""

    PERMITTED_AFTER_WITHDRAWAL = "permitted-after-withdrawal"
    NOT_ITS_PAGES_STATE = "not-its-pages-state"
    RECORDER_WENT_BACK = "recorder-went-back"
    SUCCESSOR_WENT_BACK = "successor-went-back"
    RELEASED_AFTER_SUCCESSOR = "released-after-successor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A consent whose withdrawal is known to whoever stands at this position of its partition.

    `position` is the next offset after the state, or any later one: that of a fence will do.
    """

    consent: str
    partition: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One leaf that breaks a rule. `about` is a consent's id, or a place with both positions."""

    rule: Rule
    leaf: int
    recorder: RecorderId
    sequence: int
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was looked at, and what is wrong. `withdrawn` counts consents known as withdrawn."""

    pages: int
    permits: int
    withdrawn: int
    breaches: tuple[Breach, ...]


def examine(
    leaves: Iterable[tuple[int, bytes]], withdrawals: Iterable[Withdrawal] = ()
) -> Examination:
    """Hold the leaves of a ledger, in their order and with their numbers, against the rules.

    Withdrawals that nobody names are found too, once a record refused for one: from its position
    on nobody may permit on that consent. Of each consent the newest permission is judged. Raises
    `InvalidBytes` where a leaf cannot be read, `EvidenceBroken` where a record has no page.
    """
    scan = _Scan()
    for withdrawal in withdrawals:
        scan.consent(withdrawal.consent).withdraw(withdrawal.position)
        scan.partitions[withdrawal.consent] = withdrawal.partition
    for index, leaf in leaves:
        if HEADER_LEAF.wrote(leaf):
            scan.turn_to(_Page(index, HeaderLeaf.decode(leaf).header))
        elif RECORD.wrote(leaf):
            scan.read(index, Record.decode(leaf))
    return scan.result()


def read_withdrawals(document: bytes) -> tuple[Withdrawal, ...]:
    """The withdrawals in a JSON array of objects; raises `Refused`."""
    try:
        return tuple(map(_withdrawal, json.loads(document)))
    except (ValueError, TypeError, KeyError) as error:
        raise Refused(
            "the withdrawals cannot be read",
            got=type(error).__name__,
            expected='[{"consent": "…", "partition": 0, "position": 1}, …]',
        ) from None


def _withdrawal(entry: Mapping[str, Any]) -> Withdrawal:
    consent, partition, position = entry["consent"], entry["partition"], entry["position"]
    if not (isinstance(consent, str) and type(partition) is type(position) is int):
        raise TypeError("a member of another type")
    return Withdrawal(consent=consent, partition=partition, position=position)


class _Page:
    """A page's leaf number and header, its positions by place."""

    def __init__(self, leaf: int, header: PageHeader) -> None:
        self.leaf, self.header = leaf, header
        self.positions: Mapping[Place, int] = {
            (p.topic, p.partition): p.offset for p in header.positions
        }

    def stands_at(self, position: int, partition: int | None) -> bool:
        """Whether its consent state stands there: of this partition, or of any."""
        if partition is not None:
            return self.positions.get((STATE_CONSENT, partition)) == position
        return any(
            topic == STATE_CONSENT and offset == position
            for (topic, _), offset in self.positions.items()
        )

    def breach(self, rule: Rule, about: str, *, leaf: int | None = None) -> Breach:
        """What is wrong with it, or with one of its records."""
        return Breach(
            rule=rule,
            leaf=self.leaf if leaf is None else leaf,
            recorder=self.header.recorder,
            sequence=self.header.sequence,
            about=about,
        )


@dataclass(slots=True)
class _Consent:
    """The lowest position at which a consent is known as withdrawn, and its newest permission."""

    withdrawn_at: int | None = None
    permitted_at: int = -1
    permission: Breach | None = None

    def withdraw(self, position: int) -> None:
        if self.withdrawn_at is None or position < self.withdrawn_at:
            self.withdrawn_at = position

    @property
    def breach(self) -> Breach | None:
        """Its newest permission, if that is one too many."""
        late = self.withdrawn_at is not None and self.permitted_at >= self.withdrawn_at
        return self.permission if late else None


@dataclass(slots=True)
class _Chain:
    """A recorder: its newest page, those that may still be closed at, and what it claims."""

    newest: _Page
    open: dict[int, _Page] = field(default_factory=dict)
    claimed: int = -1
    closed_at: int | None = None

    def claim(self, sequence: int) -> None:
        """It says that it released up to this page."""
        self.claimed = max(self.claimed, sequence)
        for passed in [n for n in self.open if n < self.claimed]:
            del self.open[passed]

    @property
    def overreaches(self) -> bool:
        """Whether it claims a release behind the page at which it was closed."""
        return self.closed_at is not None and self.claimed > self.closed_at


class _Scan:
    """The one pass over the leaves. Keeps a few pages per recorder and one record per consent."""

    def __init__(self) -> None:
        self.partitions: dict[str, int] = {}
        self._consents: dict[str, _Consent] = {}
        self._chains: dict[RecorderId, _Chain] = {}
        self._page: _Page | None = None
        self._pages = self._permits = 0
        self._breaches: list[Breach] = []

    def consent(self, id_: str) -> _Consent:
        return self._consents.setdefault(id_, _Consent())

    def result(self) -> Examination:
        late = [consent.breach for consent in self._consents.values()]
        found = [*self._breaches, *(breach for breach in late if breach is not None)]
        return Examination(
            pages=self._pages,
            permits=self._permits,
            withdrawn=sum(c.withdrawn_at is not None for c in self._consents.values()),
            breaches=tuple(sorted(found, key=lambda breach: breach.leaf)),
        )

    def turn_to(self, page: _Page) -> None:
        """The next page: rules 3, 4 and 5."""
        self._page, header = page, page.header
        self._pages += 1
        chain = self._chains.get(header.recorder)
        if chain is None:
            chain = self._chains[header.recorder] = _Chain(newest=page)
            self._succeed(page)
        else:
            self._follow(chain, page)
        chain.open[header.sequence] = page
        if header.released is not None and header.released.recorder == header.recorder:
            chain.claim(header.released.sequence)
            if chain.overreaches:
                self._accuse(page, Rule.RELEASED_AFTER_SUCCESSOR, f"page {chain.claimed}")

    def _follow(self, chain: _Chain, page: _Page) -> None:
        """Rule 3, also for a page that came late: then it is the older one."""
        older, newer = chain.newest, page
        if newer.header.sequence < older.header.sequence:
            older, newer = newer, older
        else:
            chain.newest = page
        if step := _step_back(older, newer):
            self._accuse(page, Rule.RECORDER_WENT_BACK, step)

    def _succeed(self, page: _Page) -> None:
        """Rules 4 and 5, as far as the predecessor's pages are in the ledger."""
        closes = page.header.closes
        predecessor = self._chains.get(closes.recorder) if closes else None
        if closes is None or predecessor is None:
            return
        last = predecessor.open.get(closes.sequence)
        if last is not None and (step := _step_back(last, page)):
            self._accuse(page, Rule.SUCCESSOR_WENT_BACK, step)
        if predecessor.closed_at is None:
            predecessor.closed_at = closes.sequence
        if predecessor.overreaches:
            claimed = f"page {predecessor.claimed} of {closes.recorder}"
            self._accuse(page, Rule.RELEASED_AFTER_SUCCESSOR, claimed)

    def read(self, index: int, record: Record) -> None:
        """The next record of the page: rules 1 and 2."""
        page = self._page
        if page is None:
            raise EvidenceBroken(f"leaf {index} is a record without a page")
        if record.consent is None or record.kind in _ACTS:
            return
        id_ = record.consent.rpartition("@")[0]
        partition = self.partitions.get(id_)
        if partition is None and record.event is not None:
            partition = record.event.partition
        position = record.positions.consent
        if position is None or not page.stands_at(position, partition):
            self._breaches.append(page.breach(Rule.NOT_ITS_PAGES_STATE, id_, leaf=index))
            return
        consent = self.consent(id_)
        if record.reason is Reason.CONSENT_WITHDRAWN:
            consent.withdraw(position)
        elif record.decision.discloses:
            self._permits += 1
            if position > consent.permitted_at:
                consent.permitted_at = position
                consent.permission = page.breach(Rule.PERMITTED_AFTER_WITHDRAWAL, id_, leaf=index)

    def _accuse(self, page: _Page, rule: Rule, about: str) -> None:
        self._breaches.append(page.breach(rule, about))


def _step_back(older: _Page, newer: _Page) -> str | None:
    """The first place at which the newer page stands before the older one."""
    for place, position in older.positions.items():
        later = newer.positions.get(place, position)
        if later < position:
            topic, partition = place
            return f"{topic}[{partition}]: {later} after {position}"
    return None
