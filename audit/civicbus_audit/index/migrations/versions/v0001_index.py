"""The index: leaves, recorders, and how far it goes."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_LEAF = """
create table leaf (
  index bigint primary key,
  hash bytea not null,
  kind text not null,
  finding text,
  id bytea,
  at timestamptz,
  recorder bytea,
  page bigint,
  actor text,
  system text,
  officer bytea,
  recipient text,
  subject bytea,
  agreement text,
  dataset text,
  event_id text,
  topic text,
  partition integer,
  "offset" bigint,
  fields text[] not null default '{}',
  purpose text,
  basis text,
  consent text,
  decision text,
  reason text,
  policy bytea,
  case_id bytea
)
"""

# Every search asks for the newest first, so each index ends with the leaf's number.
_SEARCHED = (
    "subject",
    "officer",
    "recipient",
    "actor",
    "agreement",
    "dataset",
    "purpose",
    "decision",
    "case_id",
    "event_id",
    "id",
    "at",
)


def upgrade() -> None:
    """Make the tables in the schema that comes first in `search_path`."""
    op.execute(_LEAF)
    for column in _SEARCHED:
        op.execute(
            f"create index leaf_{column} on leaf ({column}, index desc) where {column} is not null"
        )
    op.execute("create index leaf_kind on leaf (kind, index desc) where kind <> 'access.decision'")
    op.execute(
        "create table recorder (recorder bytea primary key, process text not null,"
        " released bigint not null default -1, closed boolean not null default false)"
    )
    op.execute(
        "create table progress (one boolean primary key default true check (one),"
        " size bigint not null, root bytea not null)"
    )
