"""Carrying out an erasure on this stack: what hinders it, and with which logins it is done."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

from civicbus_audit.index.oversight import Find, citizen_view, closed_cases, emergencies, find_all
from civicbus_audit.query import Query
from civicbus_audit.vault.tables import ERASER_ROLE
from civicbus_consumers.officers import erasing
from civicbus_consumers.officers.orders import Given
from civicbus_schemas.ids import RecordId
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.vocabulary import Outcome, RecordKind

from civicbus_deploy.oversight.acting import PROCESS, asking, open_vault
from civicbus_deploy.provisioning.app import Site
from civicbus_deploy.provisioning.recorders import begin_recorder


def erase(site: Site, given: Given) -> RecordId:
    """Carry out an order to erase; the id of its record. Raises `Refused` with nothing done."""
    recorder = begin_recorder(
        PROCESS,
        site.broker.access,
        secrets=site.folder.secrets,
        registry_url=site.addresses.registry_url,
    )
    with (
        asking(site.folder) as find,
        closing(open_vault(site)) as vault,
        closing(open_vault(site, ERASER_ROLE)) as eraser,
    ):
        return erasing.erase(
            given,
            vault=vault,
            eraser=eraser,
            recorder=recorder,
            hindrance=lambda name: hindrance(name, find),
            now=datetime.now(UTC),
        )


def hindrance(name: LedgerPseudonym, find: Find) -> str | None:
    """What the index knows that stands against erasing this person now."""
    deferred = find_all(Query(subject=name, kind=RecordKind.ACCESS_DEFERRED), find)
    readings = (entry for entry in deferred if entry.decision != Outcome.DENY)
    if citizen_view(readings, closed_cases(find)).hidden:
        return "an investigation that goes on"
    if any(e.review is None and e.entry.subject == name for e in emergencies(find)):
        return "an emergency that was not reviewed"
    return None
