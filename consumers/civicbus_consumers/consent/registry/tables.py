"""The registry's tables, in a schema of their own."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

SCHEMA: Final = "consent"
USES_ROLE: Final = "consent_uses"  # may reserve uses and see those reserved, and nothing else

metadata = MetaData(schema=SCHEMA)

# A reserved use. `claim` names what it is for (an event's place and agreement, or a look-up), so
# that a retry finds its own; `period` is `Uses.period_of`; `number` counts within it from 1, and is
# unique, so that two who reserve at once cannot both have the last one.
use = Table(
    "use",
    metadata,
    Column("consent_id", Uuid, nullable=False),
    Column("claim", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("reserved_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("consent_id", "claim"),
    UniqueConstraint("consent_id", "period", "number"),
)

# A person's place in the day of an agreement that limits people per day, counted as uses are.
# `counter` stands for the agreement, `claim` for the person on that day (`access.people`).
day_place = Table(
    "day_place",
    metadata,
    Column("counter", Uuid, nullable=False),
    Column("claim", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("number", Integer, nullable=False),
    PrimaryKeyConstraint("counter", "claim"),
    UniqueConstraint("counter", "period", "number"),
)

# Each revision of a data agreement, as it was shown; the newest is the one that can be given.
data_agreement = Table(
    "data_agreement",
    metadata,
    Column("id", Text, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("document", JSONB, nullable=False),
    Column("policy", Text, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
)

# How each consent stands. `subject` and `signer` are topic pseudonyms. `sealed` is the subject's
# number under the registry's key, kept only while another's death can end the consent.
consent = Table(
    "consent",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("subject", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("fields", ARRAY(Text), nullable=False),
    Column("valid_until", DateTime(timezone=True)),
    Column("uses_count", Integer),
    Column("uses_per", Text),
    Column("erase_at", DateTime(timezone=True)),
    Column("standing", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("answer_by", DateTime(timezone=True)),
    Column("signer", Text),
    Column("shown", Text),
    Column("sealed", LargeBinary),
)

# Each accepted act with its record, and the outbox in one: `sealed` is the subject's number until
# the event is published; then the event's place stands here instead.
change = Table(
    "change",
    metadata,
    Column("number", BigInteger, primary_key=True),
    Column("consent_id", Uuid(as_uuid=False), nullable=False),
    Column("version", Integer, nullable=False),
    Column("act", Text, nullable=False),
    Column("standing", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("valid_until", DateTime(timezone=True)),
    Column("signer", Text),
    Column("shown", Text),
    Column("record_id", Text, nullable=False),
    Column("leaf_hash", Text, nullable=False),
    Column("event_id", Uuid(as_uuid=False)),
    Column("sealed", LargeBinary),
    Column("topic", Text),
    Column("partition", Integer),
    Column("offset", BigInteger),
)

# Whose death the registry heard of: nothing is given in their name, whatever the view knows yet.
death = Table(
    "death",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("heard_at", DateTime(timezone=True), nullable=False),
)

# One row per process: the newest page whose changes are committed, for a successor to say so.
released = Table(
    "released",
    metadata,
    Column("process", Text, primary_key=True),
    Column("recorder", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)
