"""`civicbus officers export`: an evidence bundle from the officers' process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from civicbus_consumers.officers.client import OfficersClient
from civicbus_consumers.officers.rules import QueryPurpose, Role
from civicbus_schemas.vocabulary import Outcome

from civicbus_deploy.embedded.environment import environment
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.oversight.asking import OK, answered, token_of
from civicbus_deploy.oversight.showing import given

Words = Annotated[str | None, typer.Option()]


def export(
    target: Annotated[Path, typer.Argument(help="The bundle to write, a zip.")],
    *,
    role: Annotated[Role, typer.Option("--as", help="In which role.")],
    name: Annotated[str, typer.Option(help="The official's id; the bundle names it.")],
    issuer: Annotated[str | None, typer.Option(help="The agency that vouches.")] = None,
    purpose: Annotated[QueryPurpose, typer.Option(help="Why.")],
    case: Annotated[str, typer.Option(help="The asker's own case.")],
    pin: Annotated[str | None, typer.Option(help="About whom; - reads it from stdin.")] = None,
    agency: Annotated[str | None, typer.Option(help="Who was given data.")] = None,
    officer: Annotated[str | None, typer.Option(help="That agency's officer.")] = None,
    agency_case: Annotated[str | None, typer.Option(help="That agency's case.")] = None,
    dataset: Words = None,
    decision: Annotated[Outcome | None, typer.Option()] = None,
    since: Annotated[str | None, typer.Option(help="ISO 8601 with its zone.")] = None,
    until: Words = None,
    home: Annotated[
        Path | None, typer.Option(help="State folder; else CIVICBUS_HOME, else .civicbus here.")
    ] = None,
) -> None:
    """Have a bundle made and write it; the export is on record before the ledger is read."""
    folder = StateFolder.at(home)
    find = {
        "pin": sys.stdin.readline().strip() if pin == "-" else pin,
        "agency": agency,
        "officer": officer,
        "case": agency_case,
        "dataset": dataset,
        "decision": decision,
        "since": since,
        "until": until,
    }
    client = OfficersClient(
        url=environment(folder)["officers_url"], token=token_of(folder, role, name, issuer=issuer)
    )
    demand = {"purpose": purpose, "case": case, "find": given(find)}
    status, told = client.export(demand, target)
    record = (told if status == OK else answered(status, told))["record_id"]
    typer.echo(f"{target} is written; this is record {record}")
