"""What judging a consent needs: guardian, legal capacity, eID level."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COLUMNS = {"guardian_pin": "text", "legal_capacity": "text", "eid_level": "integer"}

_READ = (
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
    "date_of_birth",
    "card_issued_on",
    "card_expires_on",
    "deceased_on",
    *_COLUMNS,
)
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
_GRANTS = """
do $$ begin
  if exists (select from pg_roles where rolname = 'population_reader') then
    grant select on person_current to population_reader;
  end if;
end $$
"""


def upgrade() -> None:
    """Nothing has been said of the new data yet: their versions are empty."""
    for name, type_ in _COLUMNS.items():
        op.execute(
            f"alter table person add column {name} {type_},"
            f" add column {name}_v bytea not null default ''"
        )
        op.execute(f"alter table person alter column {name}_v drop default")
    op.execute("drop view person_current")
    op.execute(_CURRENT.format(columns=", ".join(f"p.{name}" for name in _READ)))
    op.execute(_GRANTS)
