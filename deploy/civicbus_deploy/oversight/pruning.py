"""Carrying out an order to prune on this stack: the ledger, its index, and the page topic."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from civicbus_audit.discarding import prune
from civicbus_audit.places import Places
from civicbus_audit.pruning import Pruning, widest_pruning
from civicbus_audit.stored import StoredLog
from civicbus_consumers.officers.orders import Given
from civicbus_consumers.officers.pruning import check_retention, find_first_kept, order_pruning
from civicbus_consumers.scrubbing.kept import first_kept
from civicbus_consumers.scrubbing.topic import KafkaPages
from civicbus_schemas.errors import Refused, Unavailable
from civicbus_schemas.record import Record

from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.hindsight.archive import open_ledger
from civicbus_deploy.oversight.acting import PROCESS, open_vault
from civicbus_deploy.provisioning.app import Site
from civicbus_deploy.provisioning.recorders import begin_recorder

SEALED_S = 60.0
_END = 1 << 62  # of the topic, wherever it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What an order did: by which leaf, how many files, and where the page topic begins now."""

    pruning: Pruning
    deleted: int
    offset: int | None


def prune_site(site: Site, given: Given, *, now: datetime | None = None) -> Pruned:
    """Carry out an order to prune, or go on where that was cut off. Raises `Refused`.

    1. The leaf is durable, unless an earlier one prunes all that this order would. 2. It is sealed
    and published. 3. Entries and sealed parts are deleted; indexing forgets their rows. 4. So are
    the pages on the topic from before the first that the ledger keeps.
    """
    policy, log = site.announced(), open_ledger(site.folder)
    retention, now = policy.retention if policy else None, now or datetime.now(UTC)
    check_retention(given, retention=retention, now=now)
    pending = widest_pruning(log)
    if _is_more(find_first_kept(log, before=given.order.before), pending):
        recorder = begin_recorder(
            PROCESS,
            site.broker.access,
            secrets=site.folder.secrets,
            registry_url=site.addresses.registry_url,
        )
        with closing(open_vault(site)) as vault:
            id_ = order_pruning(  # 1
                given, log=log, retention=retention, vault=vault, recorder=recorder, now=now
            )
        _wait_until_published(site.folder, id_)  # 2
    elif pending is None:
        raise Refused(
            "no whole bundle of entries is that old, up to an index commit",
            got=f"before {given.order.about}",
        )
    places = Places.under(site.folder.home)
    pruning, deleted = prune(places.ledger_dir, trust=places.trust())  # 3
    return Pruned(pruning=pruning, deleted=deleted, offset=_prune_topic(site))  # 4


def _is_more(first: int | None, pending: Pruning | None) -> bool:
    return first is not None and (pending is None or first > pending.first)


def _wait_until_published(folder: StateFolder, id_: str) -> None:
    deadline = time.monotonic() + SEALED_S
    while time.monotonic() < deadline:
        with suppress(Unavailable):
            log = open_ledger(folder)
            pruning = widest_pruning(log)
            if pruning and Record.decode(log.leaf(pruning.leaf)).id == id_:
                return
        time.sleep(0.5)
    raise Unavailable(
        "the order is recorded and not sealed yet; nothing was deleted",
        got=f"record {id_}",
        next_step="look at sealing and its witnesses, then carry the order out again",
    )


def _prune_topic(site: Site) -> int | None:
    """Where the page topic begins now; None where the first page that is kept is not found."""
    log: StoredLog = open_ledger(site.folder)
    with closing(KafkaPages(site.broker.access)) as pages:
        kept = first_kept(pages, log, end=_END)
    if kept is None:
        return None
    site.broker.delete_pages(kept.begin)
    return kept.begin
