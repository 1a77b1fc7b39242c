"""The tables of the view, without a schema: `search_path` says which copy is meant.

The live view lies in the schema `population`, a rebuild in one beside it. The migrations make the
tables; `CONTRACT` names the data. Each datum has a column for its value and one for its version.
"""

from __future__ import annotations

from typing import Any, Final

from civicbus_schemas.contract import Field
from civicbus_schemas.ids import EventType
from civicbus_schemas.nation import load_contracts
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

SCHEMA: Final = "population"
READER_ROLE: Final = "population_reader"  # may read the view and nothing else
VIEW: Final = EventType("population.Person")

CONTRACT: Final = load_contracts()[VIEW]

# Computed on reading from data of the same owner, so that it can never contradict them.
DERIVED: Final = {"marital_status": ("date_of_birth", "spouse_pin", "deceased_on")}

STORED: Final = tuple(path for path in CONTRACT.fields if path not in DERIVED)

metadata = MetaData()

_TYPES: Final = {"string": Text, "int": Integer}  # a day has a logical type, which is no name


def version_column(datum: str) -> str:
    """The column that holds the version of a datum; empty while nothing was said."""
    return f"{datum}_v"


def _datum_columns(field: Field) -> list[Column[Any]]:
    return [
        Column(field.path, _TYPES[field.type] if isinstance(field.type, str) else Date),
        Column(version_column(field.path), LargeBinary, nullable=False),
    ]


_DATA = [column for path in STORED for column in _datum_columns(CONTRACT.fields[path])]

person = Table("person", metadata, Column("number", Text, primary_key=True), *_DATA)

# Filled by COPY, emptied by the end of the transaction.
staged = Table(
    "person_staged",
    metadata,
    Column("number", Text),
    *[Column(c.name, c.type) for c in _DATA],
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)

watermark = Table(
    "watermark",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
)

# One row. `batch` is the watermark that a look-up records: it grows with every transaction.
state = Table(
    "state",
    metadata,
    Column("one", Boolean, primary_key=True),
    Column("batch", BigInteger, nullable=False),
    Column("deliveries", BigInteger, nullable=False),
    Column("applied_at", DateTime(timezone=True)),
)

# Deliveries that were refused: coordinates and codes, never contents.
quarantine = Table(
    "quarantine",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("event_type", Text),
    Column("event_id", Text),
    Column("source", Text),
    Column("at", DateTime(timezone=True), nullable=False),
)
