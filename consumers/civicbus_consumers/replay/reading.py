"""Reading past decisions from a ledger, and unsealing what was sealed beside them.

Needs the vault. What it yields is personal data and stays in this process: what replay and shadow
print are ids, agreements and reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from civicbus_audit.stored import StoredLog
from civicbus_audit.vault.port import Finding
from civicbus_schemas.errors import EvidenceBroken, InvalidBytes
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.record import RECORD, Record, commitment
from civicbus_schemas.subject import Secret
from civicbus_schemas.vocabulary import DECISION_KINDS, RecordKind

from civicbus_consumers.recording.facts import Sealed, open_secret
from civicbus_consumers.recording.seal import open_part
from civicbus_consumers.replay.past import Past

_ERASURE = RecordKind.SUBJECT_ERASURE.encode()
AT_ONCE = 1000
"""Decisions whose keys the vault is asked for together."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    index: int
    record: Record
    part: bytes


def past_decisions(
    log: StoredLog,
    vault: Finding,
    *,
    since: datetime | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Past]:
    """Every decision in the ledger from that time on, the oldest first.

    A record is sealed under a key of its subject, which the vault knows until it is destroyed. That
    it was must be a leaf; else the part counts as broken, as does one that is not there.
    """
    leaves = _decisions(log, since=since, on_progress=on_progress)
    erased: frozenset[str | None] | None = None
    while batch := list(islice(leaves, AT_ONCE)):
        names = {leaf.record.subject for leaf in batch if leaf.record.subject is not None}
        secrets = vault.named(names)
        if erased is None and len(secrets) < len(names):
            erased = frozenset(_erased(log))
        yield from (_opened(leaf, secrets, erased or frozenset()) for leaf in batch)


def _decisions(
    log: StoredLog, *, since: datetime | None, on_progress: Callable[[int], None]
) -> Iterator[_Leaf]:
    for index, leaf in log.leaves():
        on_progress(index)
        if RECORD.wrote(leaf):
            record = Record.decode(leaf)
            if record.kind in DECISION_KINDS and (since is None or record.at >= since):
                yield _Leaf(index, record, log.sealed(index))


def _erased(log: StoredLog) -> Iterator[str | None]:
    """The names in records whose secrets were destroyed by an order that is on record."""
    for _, leaf in log.leaves():
        if _ERASURE in leaf and RECORD.wrote(leaf):
            record = Record.decode(leaf)
            if record.kind is RecordKind.SUBJECT_ERASURE:
                yield record.subject


def _opened(
    leaf: _Leaf, secrets: Mapping[LedgerPseudonym, Secret], erased: frozenset[str | None]
) -> Past:
    record, name = leaf.record, leaf.record.subject
    secret = None if name is None else secrets.get(name)
    if not leaf.part:  # erasure destroys keys, and no bytes
        return Past(index=leaf.index, record=record, sealed=None, broken=record.sealed is not None)
    if secret is None:
        return Past(index=leaf.index, record=record, sealed=None, broken=name not in erased)
    sealed = _open(record, leaf.part, secret)
    return Past(index=leaf.index, record=record, sealed=sealed, broken=sealed is None)


def _open(record: Record, part: bytes, secret: Secret) -> Sealed | None:
    """The contents of a sealed part; None where it is not what the record commits to."""
    try:
        salt, opened = open_part(part, key=secret.sealing_key, id_=record.id)
        if commitment(salt, opened) != record.sealed:
            return None
        return open_secret(opened)
    except (EvidenceBroken, InvalidBytes):
        return None
