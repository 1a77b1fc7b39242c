"""How many rows in the vault an agency may have made, and what happens to whoever wants more."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from civicbus_consumers.recording.naming import NameAllowance
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.subject import Secrets, Subject, case

from tests.fakes.vault import KEY, FakeVault, secret_of
from tests.unit import lookup_office, officers_office, registry_office
from tests.unit.lookup_samples import asked

BANK, VSS = AgencyId("bank"), AgencyId("vss")
AT = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass
class NewRows(FakeVault):
    """Says of each secret that it makes that it was made now."""

    def get_or_create(self, subjects: Collection[Subject]) -> Secrets:
        """As `Vault` says."""
        known = {subject for subject in subjects if KEY.row_of(subject) in self.rows}
        now = datetime.now(UTC)
        made = super().get_or_create(subjects)
        return {
            subject: secret if subject in known else replace(secret, since=now)
            for subject, secret in made.items()
        }


def test_an_agency_is_refused_while_it_is_over_and_others_are_not() -> None:
    now = [0.0]
    allowance = NameAllowance(per_s=2.0, at_once=3, clock=lambda: now[0])
    new = [replace(secret_of(case(BANK, f"V-{n}")), since=AT) for n in range(4)]
    allowance.charge(BANK, new[:2], since=AT)
    assert allowance.permits(BANK)
    allowance.charge(BANK, new, since=AT)
    assert (allowance.permits(BANK), allowance.permits(VSS)) == (False, True)
    now[0] = 1.5
    assert not allowance.permits(BANK)
    now[0] = 1.6
    assert allowance.permits(BANK)


def test_names_that_were_there_before_cost_nothing() -> None:
    allowance = NameAllowance(per_s=1.0, at_once=1)
    allowance.charge(BANK, [secret_of(case(BANK, "V-1"))], since=AT + timedelta(seconds=1))
    assert allowance.permits(BANK)


def _look_up(names: NameAllowance) -> Callable[[], Any]:
    office = lookup_office.Office(vault=NewRows(), names=names)
    return lambda: office.look_up(asked(), agency=lookup_office.VSS)


def _ask(names: NameAllowance) -> Callable[[], Any]:
    office = officers_office.Office(vault=NewRows())
    office.journal.allowance = names
    return office.ask


def _consent(names: NameAllowance) -> Callable[[], Any]:
    office = registry_office.RegistryOffice(vault=NewRows(), names=names)
    return lambda: office.call(
        "request", registry_office.asking(consent_id=str(uuid4())), agency=BANK
    )


@pytest.mark.parametrize("room", [_look_up, _ask, _consent])
def test_whoever_had_too_many_names_made_waits_at_the_door(
    room: Callable[[NameAllowance], Callable[[], Any]],
) -> None:
    ask = room(NameAllowance(at_once=1, clock=lambda: 0.0))
    assert ask().status_code == 200
    refused = ask()
    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-new-names")
    ask = room(NameAllowance(at_once=4, clock=lambda: 0.0))
    assert 429 not in [ask().status_code for _ in range(3)]
