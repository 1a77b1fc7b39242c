"""`civicbus officers saved save | list | run | drop`: questions that are asked again and again."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from civicbus_audit.command_line import CommandLine
from civicbus_consumers.officers.rules import QueryPurpose, Role

from civicbus_deploy.oversight.asking import answered
from civicbus_deploy.oversight.options import (
    Agency,
    AgencyCase,
    As,
    AsJson,
    Decided,
    Flagged,
    Home,
    Issuer,
    Name,
    OwnCase,
    Words,
    client_of,
)
from civicbus_deploy.oversight.showing import given, print_rows, show

app = CommandLine(
    help="Saved queries of officers; each act is a leaf before it is done.",
    no_args_is_help=True,
)
Id = Annotated[str, typer.Argument(help="The saved query's id.")]


@app.command()
def save(
    role: As,
    name: Name,
    *,
    title: Annotated[str, typer.Option(help="What it is for; it is sealed.")],
    id_: Annotated[str | None, typer.Option("--id", help="Save its next version.")] = None,
    agency: Agency = None,
    agency_case: AgencyCase = None,
    flag: Flagged = None,
    dataset: Words = None,
    decision: Decided = None,
    since: Annotated[str | None, typer.Option(help="ISO 8601; else the last year of each run.")] = (
        None
    ),
    until: Words = None,
    issuer: Issuer = None,
    home: Home = None,
) -> None:
    """Save what to look for, about nobody in particular, and print its id and version."""
    find = {"agency": agency, "case": agency_case, "flag": flag, "dataset": dataset}
    find |= {"decision": decision, "since": since, "until": until}
    demand = {"title": title, "find": given(find)} | given({"saved": id_})
    told = _do("save", demand, role=role, name=name, issuer=issuer, home=home)
    sys.stdout.write(f"{told['saved']} {told['version']}\n")


@app.command("list")
def list_(
    role: As, name: Name, issuer: Issuer = None, home: Home = None, as_json: AsJson = False
) -> None:
    """The official's own; a supervisor is shown those of the whole agency."""
    told = _do("list", {}, role=role, name=name, issuer=issuer, home=home)
    if as_json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        return
    print_rows(told["saved"], ("saved", "version", "at", "title", "find"))


@app.command()
def run(
    saved: Id,
    role: As,
    name: Name,
    *,
    purpose: Annotated[QueryPurpose, typer.Option(help="Why, this time.")],
    case: OwnCase = None,
    limit: int = 50,
    cursor: Annotated[str | None, typer.Option(help="Of the answer before.")] = None,
    issuer: Issuer = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask it now; it is on record as a question before its answer is read."""
    demand = {"saved": saved, "purpose": purpose, "limit": limit}
    demand |= given({"case": case, "cursor": cursor})
    told = _do("run", demand, role=role, name=name, issuer=issuer, home=home)
    if as_json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        return
    show(told)
    typer.echo(f"version {told['version']} of {told['saved']}")


@app.command()
def drop(saved: Id, role: As, name: Name, issuer: Issuer = None, home: Home = None) -> None:
    """Forget it."""
    told = _do("drop", {"saved": saved}, role=role, name=name, issuer=issuer, home=home)
    typer.echo(f"this is record {told['receipt']['record_id']}")


def _do(
    act: str,
    demand: Mapping[str, Any],
    *,
    role: Role,
    name: str,
    issuer: str | None,
    home: Path | None,
) -> Mapping[str, Any]:
    client = client_of(role, name, issuer=issuer, home=home)
    return answered(*client.saved(act, demand))
