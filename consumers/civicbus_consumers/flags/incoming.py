"""From a message of the page topic to a page as rules take it; forgeries are left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import structlog
from civicbus_audit.sequencing import Chains, Keys, PageMessage, sequence
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.ids import RecorderId, RecordId
from civicbus_schemas.record import RECORD, Record

from civicbus_consumers.flags.findings import PageTold
from civicbus_consumers.population.incoming import Incoming

log = structlog.get_logger("civicbus.flags")


class _NothingSeen:
    """Each page is read by itself; rules know which came before (`civicbus_audit.Seen`)."""

    def pages(self, recorder: RecorderId, sequence: int) -> frozenset[str]:
        del recorder, sequence
        return frozenset()

    def notice(self, id_: RecordId) -> bool:
        del id_
        return False


def pages_of(messages: Sequence[Incoming], keys: Keys) -> Iterator[PageTold]:
    """The authentic pages among these messages, in their order.

    A forged page must raise and close nothing; sealing sets it aside, and so it is only passed over
    here. A record of another version is left out alike.
    """
    for message in messages:
        told = PageMessage(offset=message.offset, at=message.at, value=message.value or b"")
        read = sequence(told, Chains(), keys=keys, seen=_NothingSeen())
        if read.page is None:
            log.warning("page passed over", offset=message.offset, finding=read.finding)
            continue
        records = tuple(_records(read.leaves, offset=message.offset))
        yield PageTold(at=message.at, header=read.page.header, records=records)


def _records(leaves: Sequence[bytes], *, offset: int) -> Iterator[Record]:
    for leaf in leaves:
        if RECORD.wrote(leaf):
            try:
                yield Record.decode(leaf)
            except InvalidBytes:
                log.warning("record passed over", offset=offset)
