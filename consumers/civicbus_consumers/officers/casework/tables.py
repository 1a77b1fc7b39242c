"""The tables of cases and saved queries, in the officers' schema."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, DateTime, Integer, LargeBinary, MetaData, Table, Text

SCHEMA: Final = "officers"

metadata = MetaData(schema=SCHEMA)

# How each case stands. Officials are the ledger's pseudonyms.
case = Table(
    "case",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agency", Text, nullable=False),
    Column("opened_by", Text, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("assignee", Text),
    Column("closed_at", DateTime(timezone=True)),
)

# Each accepted act, with its record; `sealed` holds names and texts under the case's key, which is
# the vault's.
act = Table(
    "act",
    metadata,
    Column("number", BigInteger, primary_key=True),
    Column("case_id", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("officer", Text, nullable=False),
    Column("record_id", Text, nullable=False, unique=True),
    Column("sealed", LargeBinary, nullable=False),
)

# The newest version of each saved query; `sealed` holds title and filters under its owner's key.
saved = Table(
    "saved",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("agency", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
