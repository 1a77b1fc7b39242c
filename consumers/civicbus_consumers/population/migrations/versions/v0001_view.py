"""The view: persons, positions, state, quarantine, and what readers see."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXTS = (
    "pin",
    "full_name",
    "sex",
    "place_of_birth",
    "native_place",
    "nationality",
    "ethnicity",
    "religion",
    "old_id_number",
    "permanent_address",
    "permanent_commune_code",
    "household_number",
    "relation_to_head",
    "spouse_pin",
    "mother_pin",
    "father_pin",
)
_DAYS = ("date_of_birth", "card_issued_on", "card_expires_on", "deceased_on")

_CURRENT = """
create view person_current as
select p.number, {columns},
  case
    when p.spouse_pin is null then case when p.date_of_birth is not null then 'single' end
    when spouse.deceased_on is not null then 'widowed'
    else 'married'
  end as marital_status
from person p left join person spouse on spouse.number = p.spouse_pin
"""

# Roles are the server's: where the reader exists, it gets what readers see and nothing else.
_GRANTS = """
do $$ begin
  if exists (select from pg_roles where rolname = 'population_reader') then
    execute format('grant usage on schema %I to population_reader', current_schema());
    grant select on person_current, state to population_reader;
  end if;
end $$
"""


def upgrade() -> None:
    """Make the tables in the schema that comes first in `search_path`."""
    data = [(name, "text") for name in _TEXTS] + [(name, "date") for name in _DAYS]
    columns = ", ".join(f"{name} {type_}, {name}_v bytea not null" for name, type_ in data)
    op.execute(f'create table person (number text collate "C" primary key, {columns})')
    op.execute(_CURRENT.format(columns=", ".join(f"p.{name}" for name, _ in data)))
    op.execute(
        "create table watermark (topic text, partition integer, next_offset bigint not null,"
        " primary key (topic, partition))"
    )
    op.execute(
        "create table state (one boolean primary key default true check (one),"
        " batch bigint not null, deliveries bigint not null, applied_at timestamptz)"
    )
    op.execute("insert into state (batch, deliveries) values (0, 0)")
    op.execute(
        'create table quarantine (topic text, partition integer, "offset" bigint,'
        " reason text not null, event_type text, event_id text, source text,"
        ' at timestamptz not null, primary key (topic, partition, "offset"))'
    )
    op.execute(_GRANTS)
