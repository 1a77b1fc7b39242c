"""A record's leaf by its id, from the entry bundles alone.

An id says nothing of its place, so this reads the bundles from the first; it needs no database.
"""

from __future__ import annotations

from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.record import Record

from civicbus_audit.stored import StoredLog


def find_record(log: StoredLog, id_: str) -> int | None:
    """The number of the oldest record with this id (32 hex characters)."""
    for index, leaf in log.containing(bytes.fromhex(id_)):
        try:
            if Record.decode(leaf).id == id_:
                return index
        except InvalidBytes:
            continue
    return None
