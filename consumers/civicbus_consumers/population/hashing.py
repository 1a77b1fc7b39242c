"""One hash for the whole view: equal views, and only those, have equal hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from sqlalchemy import Connection, select

from civicbus_consumers.population.database import errors_translated
from civicbus_consumers.population.tables import person

_ROWS = 5_000


def view_hash(connection: Connection, *, on_rows: Callable[[int], None] | None = None) -> str:
    """SHA-256, hex, over every row by number: values and versions, one JSON array a line.

    Read in one statement, so of one state; `on_rows` is told how many rows were read.
    """
    digest = hashlib.sha256()
    rows = 0
    with errors_translated("hashing the view"):
        result = connection.execute(
            select(person).order_by(person.c.number).execution_options(yield_per=_ROWS)
        )
        for part in result.partitions():
            for row in part:
                digest.update(_line(tuple(row)))
            rows += len(part)
            if on_rows is not None:
                on_rows(rows)
    return digest.hexdigest()


def _line(row: tuple[object, ...]) -> bytes:
    plain = [v.hex() if isinstance(v, bytes) else None if v is None else str(v) for v in row]
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
