"""Which fields of which agreements nobody has used lately, as the ledger's records tell. Pure.

A use is a permit whose record names the field. Versions of an agreement are one: a newer one does
not begin unused. Whether a look-up read a value or verified it stands in no record, so that either
is a use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.ids import EventType
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import DECISION_KINDS


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Granted:
    """One field that an agreement, of whatever version, lets its recipient have."""

    agreement: str
    dataset: EventType
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """A granted field that was not used since a time; `last_use` is None where it never was."""

    granted: Granted
    since: date
    last_use: datetime | None


LastUses = Mapping[Granted, datetime]


def last_uses(records: Iterable[Record]) -> LastUses:
    """When each field was last had, under which agreement."""
    found: dict[Granted, datetime] = {}
    for record in records:
        if record.kind not in DECISION_KINDS or not record.decision.discloses:
            continue
        if record.agreement is None or record.dataset is None:
            continue
        for path in record.fields:
            used = Granted(agreement=record.agreement.id, dataset=record.dataset, field=path)
            found[used] = max(record.at, found.get(used, record.at))
    return found


def unused(policy: PolicySet, uses: LastUses, *, since: datetime, now: datetime) -> list[Unused]:
    """The fields that agreements in force now grant and that were not had since then."""
    granted = {
        field: agreement.valid_from
        for agreement in policy.agreements
        if agreement.lapse(now) is None
        for field in _grants(agreement)
    }
    return [
        Unused(granted=field, since=begin, last_use=uses.get(field))
        for field, begin in sorted(granted.items())
        if field not in uses or uses[field] < since
    ]


def _grants(agreement: Agreement) -> Iterator[Granted]:
    named = {event_type: release.paths for event_type, release in agreement.releases.items()}
    looked_up = {view: sorted(r.read | r.verify) for view, r in agreement.reads.items()}
    for dataset, paths in {**named, **looked_up}.items():
        for path in paths:
            yield Granted(agreement=agreement.ref.id, dataset=dataset, field=path)
