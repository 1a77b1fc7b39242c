"""Ordering the ledger to be pruned: what may go, and the leaf that says so. Read `order_pruning`.

Nothing is deleted here: the leaf is sealed and published first, and `civicbus_audit.discarding`
deletes what it says.
"""

from __future__ import annotations

from datetime import datetime

from civicbus_audit.completeness.commit import INDEX_COMMIT, IndexCommit
from civicbus_audit.merkle import root_of_range
from civicbus_audit.pruning import minimum_of
from civicbus_audit.stored import StoredLog
from civicbus_audit.vault.port import Vault
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import RecordId
from civicbus_schemas.record import Actor, Record
from civicbus_schemas.retention import Retention
from civicbus_schemas.subject import Secret, officer
from civicbus_schemas.vocabulary import Outcome, RecordKind

from civicbus_consumers.officers.erasing import secret_of
from civicbus_consumers.officers.orders import Act, Given
from civicbus_consumers.officers.records import SYSTEM
from civicbus_consumers.recording.pages import Stamp
from civicbus_consumers.recording.recorder import Recorder


def order_pruning(
    given: Given,
    *,
    log: StoredLog,
    retention: Retention | None,
    vault: Vault,
    recorder: Recorder,
    now: datetime,
) -> RecordId:
    """Record an order to prune the published ledger; its record's id. Raises `Refused`.

    1. The nation says how long it keeps its ledger, and what is ordered is older. 2. Something is
    that old and ends at an index commit. 3. The leaf is durable. 4. The next page says so.
    """
    check_retention(given, retention=retention, now=now)  # 1
    first = find_first_kept(log, before=given.order.before)  # 2
    if retention is None or first is None:
        raise Refused(
            "no whole bundle of entries is that old, up to an index commit",
            got=f"before {given.order.about}",
            next_step="`civicbus-audit prune` deletes what was ordered before",
        )
    approver = officer(given.approved_by.agency, given.approved_by.name)
    under, secret = vault.get_or_create([approver])[approver], secret_of(given)
    page = recorder.open_page(now)
    stamp, root = page.stamp(), root_of_range(0, first, log.node)
    record = record_pruning(
        given, retention, pruned=(first, root), under=under, secret=secret, stamp=stamp
    )
    page.add(record, stamp=stamp, secret=secret, under=under)
    recorder.mark_released(recorder.write(page, policy=None, positions=()))  # 3
    recorder.write(recorder.open_page(now), policy=None, positions=())  # 4
    return stamp.id


def check_retention(given: Given, *, retention: Retention | None, now: datetime) -> None:
    """Raises `Refused` for what must be kept, and for what is no order to prune."""
    if given.order.act is not Act.PRUNE:
        raise Refused("this order prunes nothing", got=given.order.act)
    if retention is None:
        raise Refused(
            "the nation says no period after which its ledger may be pruned",
            expected="ledger_years in its retention.yaml, reviewed like law and announced",
        )
    if given.order.before > (since := retention.kept_since(now)):
        raise Refused(
            f"the nation keeps its ledger for {retention.ledger_years} years",
            got=f"before {given.order.about}",
            expected=f"before {since.date().isoformat()} or an earlier day",
        )


def find_first_kept(log: StoredLog, *, before: datetime) -> int | None:
    """Where the ledger would begin; None where no whole bundle of entries would go."""
    first = find_commit_behind(log, before=before)
    if first is None or minimum_of(first) <= minimum_of(log.first):
        return None
    return first


def find_commit_behind(log: StoredLog, *, before: datetime) -> int | None:
    """Where the newest commit stands before which all is older; None where nothing is.

    Neither the topic's clock nor any record's own time there may be of that day or later.
    """
    first = None
    for index, leaf in log.containing(INDEX_COMMIT.single_object_header):
        if not INDEX_COMMIT.wrote(leaf) or index == log.first:
            continue
        commit = IndexCommit.decode(leaf)
        if max(commit.at, commit.latest or commit.at) >= before:
            break
        first = index
    return first


def record_pruning(
    given: Given,
    retention: Retention,
    *,
    pruned: tuple[int, bytes],
    under: Secret,
    secret: bytes,
    stamp: Stamp,
) -> Record:
    """The leaf that prunes what is before `pruned`, a leaf's number and the root before it."""
    by, (first, root) = given.approved_by, pruned
    return Record(
        **stamp.marks(secret),
        kind=RecordKind.RETENTION_PRUNE,
        actor=Actor(agency=by.agency, system=SYSTEM, role=by.role, officer=under.pseudonym),
        decision=Outcome.PERMIT,
        rows=first,
        payload_hash=root.hex(),
        rule=retention.rule,
    )
