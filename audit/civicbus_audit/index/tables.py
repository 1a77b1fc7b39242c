"""The index's tables, without a schema: `search_path` says which copy is meant.

Pseudonyms, ids and hashes are raw bytes. There is no unique id: a forked page repeats the ids of
its rival, and both are evidence.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

SCHEMA: Final = "audit"
REBUILT: Final = "audit_rebuilt"
READER_ROLE: Final = "audit_reader"  # may read the index and nothing else

metadata = MetaData()

leaf = Table(
    "leaf",
    metadata,
    Column("index", BigInteger, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("finding", Text),
    Column("id", LargeBinary),
    Column("at", DateTime(timezone=True)),
    Column("recorder", LargeBinary),
    Column("page", BigInteger),
    Column("actor", Text),
    Column("system", Text),
    Column("officer", LargeBinary),
    Column("recipient", Text),
    Column("subject", LargeBinary),
    Column("agreement", Text),
    Column("dataset", Text),
    Column("event_id", Text),
    Column("topic", Text),
    Column("partition", Integer),
    Column("offset", BigInteger),
    Column("fields", ARRAY(Text), nullable=False),
    Column("purpose", Text),
    Column("basis", Text),
    Column("consent", Text),
    Column("decision", Text),
    Column("reason", Text),
    Column("policy", LargeBinary),
    Column("case_id", LargeBinary),
    Column("about", LargeBinary),
    Column("rule", Text),
)

# What later pages said of a recorder's pages: those up to `released` were, and if `closed` no
# other was.
recorder = Table(
    "recorder",
    metadata,
    Column("recorder", LargeBinary, primary_key=True),
    Column("process", Text, nullable=False),
    Column("released", BigInteger, nullable=False),
    Column("closed", Boolean, nullable=False),
)

# One row: the ledger's size and root as far as it is indexed.
progress = Table(
    "progress",
    metadata,
    Column("one", Boolean, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
)
