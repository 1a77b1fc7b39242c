"""Whom and what an act upon a case names, and its record: which case it is upon. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from civicbus_schemas.record import Record, Request
from civicbus_schemas.subject import Secrets, Subject, case, officer
from civicbus_schemas.vocabulary import Reason, RecordKind

from civicbus_consumers.officers import acts
from civicbus_consumers.officers.casework.acts import Demand
from civicbus_consumers.officers.records import who
from civicbus_consumers.officers.rules import Asker
from civicbus_consumers.officers.token import Pass
from civicbus_consumers.recording.pages import Stamp


def matter_of(asker: Asker, demand: Demand) -> Subject | None:
    """The case as the vault knows it: under its agency."""
    return None if demand.case is None else case(asker.agency, demand.case)


def subjects_of(asker: Asker, demand: Demand) -> Iterator[Subject]:
    """Everybody and everything that an act and its record name."""
    yield who(asker)
    if (matter := matter_of(asker, demand)) is not None:
        yield matter
    if demand.assignee is not None:
        yield officer(asker.agency, demand.assignee)


def record_act(
    holder: Pass, demand: Demand, refused: Reason | None, *, secrets: Secrets, stamp: Stamp
) -> Record:
    """The record of one act; the case goes by its pseudonym."""
    matter = matter_of(holder.asker, demand)
    return acts.record_act(
        holder,
        demand,
        refused,
        kind=RecordKind.OFFICER_CASE,
        upon=Request(jti=holder.jti, case=matter and secrets[matter].pseudonym),
        secrets=secrets,
        stamp=stamp,
    )
