"""Reading past decisions from a ledger, and unsealing what was sealed beside them.

Needs the bus's seal key. What it yields is personal data and stays in this process: what replay and
shadow print are ids, agreements and reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from civicbus_audit.stored import StoredLog
from civicbus_schemas.errors import EvidenceBroken, InvalidBytes
from civicbus_schemas.ids import RecorderId
from civicbus_schemas.page import HEADER_LEAF, HeaderLeaf
from civicbus_schemas.record import RECORD, Record, commitment
from civicbus_schemas.vocabulary import DECISION_KINDS

from civicbus_consumers.recording.facts import Sealed, open_secret
from civicbus_consumers.recording.seal import Seal
from civicbus_consumers.replay.past import Past


def past_decisions(
    log: StoredLog,
    seal_key: bytes,
    *,
    since: datetime | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Past]:
    """Every decision in the ledger from that time on, the oldest first.

    A record is sealed under a key of its recorder, whom the header of its page names.
    """
    seal: Seal | None = None
    for index, leaf in log.leaves():
        on_progress(index)
        if HEADER_LEAF.wrote(leaf):
            seal = Seal(seal_key, RecorderId(HeaderLeaf.decode(leaf).header.recorder))
        elif RECORD.wrote(leaf):
            record = Record.decode(leaf)
            if record.kind in DECISION_KINDS and (since is None or record.at >= since):
                yield _opened(index, record, log.sealed(index), seal=seal)


def _opened(index: int, record: Record, part: bytes, *, seal: Seal | None) -> Past:
    if not part or seal is None:
        return Past(index=index, record=record, sealed=None)
    sealed = _open(record, part, seal)
    return Past(index=index, record=record, sealed=sealed, broken=sealed is None)


def _open(record: Record, part: bytes, seal: Seal) -> Sealed | None:
    """The contents of a sealed part; None where it is not what the record commits to."""
    try:
        salt, secret = seal.open(part, id_=record.id)
        if commitment(salt, secret) != record.sealed:
            return None
        return open_secret(secret)
    except (EvidenceBroken, InvalidBytes):
        return None
