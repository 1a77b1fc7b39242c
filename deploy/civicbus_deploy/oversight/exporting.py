"""`civicbus officers export`: an evidence bundle from the officers' process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from civicbus_deploy.oversight.asking import OK, answered
from civicbus_deploy.oversight.options import (
    Agency,
    AgencyCase,
    As,
    Decided,
    Home,
    Issuer,
    OfficerOf,
    Pin,
    Purpose,
    Since,
    Words,
    client_of,
    or_stdin,
)
from civicbus_deploy.oversight.showing import given


def export(
    target: Annotated[Path, typer.Argument(help="The bundle to write, a zip.")],
    *,
    role: As,
    name: Annotated[str, typer.Option(help="The official's id; the bundle names it.")],
    issuer: Issuer = None,
    purpose: Purpose,
    case: Annotated[str, typer.Option(help="The asker's own case.")],
    pin: Pin = None,
    agency: Agency = None,
    officer: OfficerOf = None,
    agency_case: AgencyCase = None,
    dataset: Words = None,
    decision: Decided = None,
    since: Since = None,
    until: Words = None,
    home: Home = None,
) -> None:
    """Have a bundle made and write it; the export is on record before the ledger is read."""
    find = {
        "pin": pin and or_stdin(pin),
        "agency": agency,
        "officer": officer,
        "case": agency_case,
        "dataset": dataset,
        "decision": decision,
        "since": since,
        "until": until,
    }
    client = client_of(role, name, issuer=issuer, home=home)
    demand = {"purpose": purpose, "case": case, "find": given(find)}
    tell_written(target, *client.export(demand, target))


def tell_written(target: Path, status: int, told: Mapping[str, Any]) -> None:
    """Say that a bundle is written; raises what `answered` does where it is not."""
    record = (told if status == OK else answered(status, told))["record_id"]
    typer.echo(f"{target} is written; this is record {record}")
