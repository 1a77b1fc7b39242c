"""`civicbus officers case open | assign | link | note | close | list`: cases of officers."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from civicbus_audit.command_line import CommandLine
from civicbus_consumers.officers.rules import Role

from civicbus_deploy.oversight.asking import answered
from civicbus_deploy.oversight.options import As, AsJson, Home, Issuer, Name, client_of

app = CommandLine(
    help="Cases of officers; each act is a leaf before it is done.",
    no_args_is_help=True,
)
Id = Annotated[str, typer.Argument(help="The case's id.")]
Text = Annotated[str, typer.Option(help="It is sealed; - reads it from stdin.")]


@app.command("open")
def open_(role: As, name: Name, text: Text, issuer: Issuer = None, home: Home = None) -> None:
    """Open a case about something, and print its id."""
    demand = {"case": uuid.uuid4().hex, "text": _text(text)}
    told = _do("open", demand, role=role, name=name, issuer=issuer, home=home)
    sys.stdout.write(f"{told['case']}\n")


@app.command()
def assign(
    case: Id, role: As, name: Name, to: Name, issuer: Issuer = None, home: Home = None
) -> None:
    """Give it to an official of the same agency."""
    demand = {"case": case, "assignee": to}
    _tell(_do("assign", demand, role=role, name=name, issuer=issuer, home=home))


@app.command()
def link(
    case: Id,
    record: Annotated[str, typer.Argument(help="The id of a record that is evidence in it.")],
    role: As,
    name: Name,
    issuer: Issuer = None,
    home: Home = None,
) -> None:
    """Link a record of the ledger to it."""
    demand = {"case": case, "record": record}
    _tell(_do("link", demand, role=role, name=name, issuer=issuer, home=home))


@app.command()
def note(
    case: Id, role: As, name: Name, text: Text, issuer: Issuer = None, home: Home = None
) -> None:
    """Write something into it."""
    demand = {"case": case, "text": _text(text)}
    _tell(_do("note", demand, role=role, name=name, issuer=issuer, home=home))


@app.command()
def close(
    case: Id, role: As, name: Name, text: Text, issuer: Issuer = None, home: Home = None
) -> None:
    """Close it for good, and say why."""
    demand = {"case": case, "text": _text(text)}
    _tell(_do("close", demand, role=role, name=name, issuer=issuer, home=home))


@app.command("list")
def list_(
    role: As, name: Name, issuer: Issuer = None, home: Home = None, as_json: AsJson = False
) -> None:
    """The newest cases of the official's agency, with all that was done to them."""
    told = _do("list", {}, role=role, name=name, issuer=issuer, home=home)
    if as_json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
        return
    for case in told["cases"]:
        typer.echo(f"{case['case']} {'open' if case['open'] else 'closed'}")
        for act in case["acts"]:
            said = act.get("text") or act.get("assignee") or act.get("record")
            typer.echo(f"  {act['at']} {act['officer']} {act['act']}: {said}")
    _tell(told)


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
    return answered(*client.case(act, demand))


def _text(text: str) -> str:
    return sys.stdin.read().strip() if text == "-" else text


def _tell(told: Mapping[str, Any]) -> None:
    typer.echo(f"this is record {told['receipt']['record_id']}")
