"""The tables of flags, in a schema of their own; the migrations make them.

`flag` and `label` are what officers see. `memory` and `position` are the worker's, and change in
the same transaction: whoever reads the topic from its beginning gets the same of all four.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

SCHEMA: Final = "flags"

metadata = MetaData(schema=SCHEMA)

flag = Table(
    "flag",
    metadata,
    Column("id", Text, primary_key=True),
    Column("flag", Text, nullable=False),
    Column("record", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("raised_at", DateTime(timezone=True), nullable=False),
    Column("agency", Text, nullable=False),
    Column("officer", Text),
    Column("subject", Text),
    Column("score", Integer, nullable=False),
    Column("explanations", ARRAY(Text), nullable=False),
    Column("count", Integer),
    Column("usual", Float),
    Column("reference", Text, nullable=False),
    Column("closed_at", DateTime(timezone=True)),
    Column("closing", Text),
    Column("raised_told", Boolean, nullable=False),  # the leaf that says so is on the topic
    Column("closed_told", Boolean, nullable=False),
)

label = Table(
    "label",
    metadata,
    Column("record", Text, primary_key=True),
    Column("flag", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("by", Text),
)

memory = Table(
    "memory",
    metadata,
    Column("key", Text, primary_key=True),
    Column("body", JSONB, nullable=False),
    Column("until", DateTime(timezone=True)),
)

position = Table(
    "position",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
)
