"""`civicbus provision`: bring the running stack to what the nation's files ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from civicbus_audit.command_line import CommandLine

from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.provisioning.app import provision

app = CommandLine()


@app.command()
def main(
    home: Annotated[
        Path | None,
        typer.Option(
            help="State folder; else CIVICBUS_HOME, else .civicbus here.", show_default=False
        ),
    ] = None,
    nation: Annotated[
        str | None,
        typer.Option(help="A nation's folder, or the name of a packaged one.", metavar="DIR"),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Create topics, users, grants and schemas, and announce the policy; changes nothing twice."""
    report = provision(StateFolder.at(home).home, nation, plan_only=plan)
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "policy": report.policy,
                    "applied": report.applied,
                    "steps": [str(step) for step in report.steps],
                }
            )
        )
    else:
        typer.echo("\n".join(report.lines()))
