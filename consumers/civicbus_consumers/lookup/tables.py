"""The tables of look-ups, in a schema of their own: who may answer, and what was answered last."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, DateTime, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA: Final = "lookup"

metadata = MetaData(schema=SCHEMA)

# `positions`: [[topic, partition, next offset], …], the oldest that an answer may still rest on.
lease = Table(
    "lease",
    metadata,
    Column("instance", Text, primary_key=True),
    Column("positions", JSONB, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
)

# One row per process: its newest page whose answers have all left, for its successor to say so.
released = Table(
    "released",
    metadata,
    Column("process", Text, primary_key=True),
    Column("recorder", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)
