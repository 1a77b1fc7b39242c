"""How much any ranker could find: `single-reading` among the ordinary readings that look the same.

Twins are what records and reference tell alike: someone whom the agency has never read about and
was told nothing of, without consent, read in office hours by an officer who needs no case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from civicbus_consumers.flags.reference import Reference, read_reference
from civicbus_schemas.agreement import NATION_ZONE
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.record import Record
from civicbus_schemas.vocabulary import Outcome

from tests.benchmarks.flags.abuse import UNSEEN
from tests.benchmarks.flags.measuring import Measured
from tests.benchmarks.flags.pages import Set

TOLD_WITHIN = timedelta(days=30)


def count_twins(made: Set) -> int:
    """The ordinary readings that nothing tells from `single-reading`."""
    return sum(str(record.id) not in made.seeds for record in find_lonely(made))


def most_found(measured: Measured, twins: int, *, per_thousand: float) -> float:
    """Recall, all kinds counted, of a ranker that no ranker exceeds.

    It finds every other episode with one flag and errs nowhere; what the budget leaves is spread
    over `single-reading` and its twins, of which none is likelier than another.
    """
    hard, all_ = measured.seeded[UNSEEN], sum(measured.seeded.values())
    spare = per_thousand * measured.readings / 1000 - (all_ - hard)
    share = max(0.0, min(1.0, spare / (twins + hard)))
    return (all_ - hard + share * hard) / all_


def find_lonely(made: Set) -> Iterator[Record]:
    """`single-reading` and its twins, and what looks so of other episodes."""
    reference = read_reference(canonical_json(made.reference))
    known, told = set[tuple[str, str]](), dict[tuple[str, str], datetime]()
    for page in made.pages:
        for record in page.records:
            key = (str(record.recipient), record.subject or "")
            if record.actor.officer is None:
                told[key] = record.at
                continue
            if key not in known and _looks_so(record, reference, told):
                yield record
            known.add(key)


def _looks_so(
    record: Record, reference: Reference, told: Mapping[tuple[str, str], datetime]
) -> bool:
    agency, subject = record.actor.agency, record.subject or ""
    service = reference.services[agency].get(record.purpose or "")
    before = told.get((agency, subject))
    return (
        record.decision is Outcome.PERMIT
        and record.consent is None
        and service is not None
        and not service.needs_case
        and reference.calendars[agency].works(record.at.astimezone(NATION_ZONE))
        and (before is None or record.at - before > TOLD_WITHIN)
        and subject not in reference.watched
        and (record.actor.officer, subject) not in reference.relations
    )
