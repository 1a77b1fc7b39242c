"""Data agreements, consents, their changes with what is still to be published, deaths, pages."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = (
    "create table consent.data_agreement (id text, revision integer, hash text not null,"
    " document jsonb not null, policy text not null, since timestamptz not null,"
    " primary key (id, revision), unique (id, hash))",
    "create table consent.consent (id uuid primary key, version integer not null,"
    " subject text not null, recipient text not null, purpose text not null,"
    " fields text[] not null, valid_until timestamptz, uses_count integer, uses_per text,"
    " erase_at timestamptz, standing text not null, act text not null, since timestamptz not null,"
    " answer_by timestamptz, signer text, shown text, sealed bytea)",
    "create index consent_subject on consent.consent (subject)",
    "create index consent_signer on consent.consent (signer) where sealed is not null",
    "create table consent.change (number bigserial primary key, consent_id uuid not null,"
    " version integer not null, act text not null, standing text not null, at timestamptz not null,"
    " valid_until timestamptz, signer text, shown text,"
    " record_id text not null, leaf_hash text not null,"
    ' event_id uuid unique, sealed bytea, topic text, partition integer, "offset" bigint)',
    "create index change_consent on consent.change (consent_id, number)",
    "create index change_pending on consent.change (number) where sealed is not null",
    "create table consent.death (subject text primary key, heard_at timestamptz not null)",
    "create table consent.released (process text primary key, recorder text not null,"
    " sequence bigint not null, hash text not null)",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in _TABLES:
        op.execute(statement)
