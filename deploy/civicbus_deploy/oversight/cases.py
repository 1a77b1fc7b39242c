"""`civicbus case close`: a closed case opens what was hidden from the citizen while it went on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from civicbus_audit.command_line import CommandLine
from civicbus_schemas.ids import agency_id

from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.oversight.acting import Officer, close_case
from civicbus_deploy.provisioning.app import Site

app = CommandLine(
    help="Close cases of agencies.",
    no_args_is_help=True,
)


@app.callback()
def cases() -> None:
    """Close cases of agencies."""


@app.command()
def close(
    case: Annotated[str, typer.Argument(help="The agency's own number, as its look-ups gave it.")],
    *,
    agency: Annotated[str, typer.Option("--as", help="The agency whose case it is.")],
    officer: Annotated[str, typer.Option(help="The officer's id; it is sealed.")],
    home: Annotated[
        Path | None, typer.Option(help="State folder; else CIVICBUS_HOME, else .civicbus here.")
    ] = None,
) -> None:
    """Close a case: its readings are shown to the citizens concerned from now on."""
    site = Site.open(StateFolder.at(home).home)
    id_ = close_case(site, case, by=Officer(agency=agency_id(agency), name=officer))
    typer.echo(f"closed, in record {id_}; what it hid is shown from now on")
