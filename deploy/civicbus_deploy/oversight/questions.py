"""`civicbus officers ask | unread | token`: questions to the officers' process of this stack.

The stack holds the keys of all issuers, so whoever runs it can ask in any role and any name, and
every question is a leaf. `civicbus audit search` reads the index directly and leaves none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from civicbus_consumers.flags.words import Flag
from civicbus_consumers.officers.client import OfficersClient
from civicbus_consumers.officers.rules import QueryPurpose, Role
from civicbus_schemas.vocabulary import Outcome
from rich.table import Column, Table

from civicbus_deploy.embedded.environment import environment
from civicbus_deploy.embedded.screen import paper
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.oversight import casework
from civicbus_deploy.oversight.asking import answered, token_of

_UNREAD = ("since", "recipient", "agreement", "purpose", "type", "record_id")
_SHOWN = ("leaf", "at", "recipient", "kind", "purpose", "basis", "decision", "officer", "id")

app = typer.Typer(
    help="Ask the ledger as an officer, a supervisor, an agency's auditor or a citizen.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(casework.app, name="case")
Home = Annotated[
    Path | None, typer.Option(help="State folder; else CIVICBUS_HOME, else .civicbus here.")
]
As = Annotated[Role, typer.Option("--as", help="In which role.")]
Name = Annotated[str, typer.Option(help="The official's id, or the citizen's number.")]
Issuer = Annotated[
    str | None, typer.Option(help="The agency that vouches; needed for an agency's auditor.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Words = Annotated[str | None, typer.Option()]


@app.command()
def token(role: As, name: Name, issuer: Issuer = None, home: Home = None) -> None:
    """Print a token of five minutes, to be pasted into the page."""
    sys.stdout.write(token_of(StateFolder.at(home), role, name, issuer=issuer) + "\n")


@app.command()
def ask(
    role: As,
    name: Name,
    *,
    issuer: Issuer = None,
    purpose: Annotated[QueryPurpose, typer.Option(help="Why.")],
    case: Annotated[str | None, typer.Option(help="The asker's own case.")] = None,
    pin: Annotated[str | None, typer.Option(help="About whom; - reads it from stdin.")] = None,
    agency: Annotated[str | None, typer.Option(help="Who was given data.")] = None,
    officer: Annotated[str | None, typer.Option(help="That agency's officer.")] = None,
    agency_case: Annotated[str | None, typer.Option(help="That agency's case.")] = None,
    flag: Annotated[Flag | None, typer.Option(help="What was flagged so.")] = None,
    dataset: Words = None,
    decision: Annotated[Outcome | None, typer.Option()] = None,
    since: Annotated[str | None, typer.Option(help="ISO 8601 with its zone.")] = None,
    until: Words = None,
    limit: int = 50,
    cursor: Annotated[str | None, typer.Option(help="Of the answer before.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Put a question; it is on record before its answer is read."""
    folder = StateFolder.at(home)
    find = {
        "pin": sys.stdin.readline().strip() if pin == "-" else pin,
        "agency": agency,
        "officer": officer,
        "case": agency_case,
        "flag": flag,
        "dataset": dataset,
        "decision": decision,
        "since": since,
        "until": until,
    }
    question = {"purpose": purpose, "limit": limit, "find": _given(find)}
    client = OfficersClient(
        url=environment(folder)["officers_url"], token=token_of(folder, role, name, issuer=issuer)
    )
    document = answered(*client.ask(question | _given({"case": case, "cursor": cursor})))
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        _show(document)


@app.command()
def unread(
    name: Annotated[str, typer.Option(help="The citizen's number; - reads it from stdin.")],
    *,
    consent: Annotated[str | None, typer.Option(help="Only what rests on this consent.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Which deliveries about a citizen their recipients have not read yet, as he may ask."""
    folder = StateFolder.at(home)
    number = sys.stdin.readline().strip() if name == "-" else name
    client = OfficersClient(
        url=environment(folder)["officers_url"],
        token=token_of(folder, Role.CITIZEN, number, issuer=None),
    )
    document = answered(*client.unread(_given({"consent": consent})))
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
        return
    _print_rows(document["unread"], _UNREAD)
    older = "" if document["complete"] else "; older ones were not looked at"
    typer.echo(f"{len(document['unread'])} of {document['looked_at']} readings lie unread{older}")


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _show(document: Mapping[str, Any]) -> None:
    _print_rows(document["rows"], _SHOWN)
    typer.echo(f"this question is record {document['receipt']['record_id']}")
    if document.get("hidden"):
        typer.echo(f"{document['hidden']} more, in investigations that go on")
    if document["cursor"]:
        typer.echo(f"more: --cursor {document['cursor']}")


def _print_rows(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    table = Table(*(Column(name, overflow="fold") for name in names), box=None)
    for row in rows:
        table.add_row(*(str(row.get(name) or "") for name in names))
    paper().print(table)
