"""`civicbus officers ask | export | unread | token`: what this stack's officers' process is asked.

The stack holds the keys of all issuers, so whoever runs it can ask in any role and any name, and
every question is a leaf. `civicbus audit search` reads the index directly and leaves none.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from civicbus_consumers.flags.words import Flag
from civicbus_consumers.officers.rules import QueryPurpose, Role
from civicbus_schemas.vocabulary import Outcome

from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.oversight import casework, saved
from civicbus_deploy.oversight.asking import answered, token_of
from civicbus_deploy.oversight.exporting import export
from civicbus_deploy.oversight.options import As, AsJson, Home, Issuer, client_of
from civicbus_deploy.oversight.showing import given, print_rows, show

_UNREAD = ("since", "recipient", "agreement", "purpose", "type", "record_id")

app = typer.Typer(
    help="Ask the ledger as an officer, a supervisor, an agency's auditor or a citizen.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(casework.app, name="case")
app.add_typer(saved.app, name="saved")
app.command("export")(export)
Name = Annotated[str, typer.Option(help="The official's id, or the citizen's number.")]
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
    question = {"purpose": purpose, "limit": limit, "find": given(find)}
    client = client_of(role, name, issuer=issuer, home=home)
    document = answered(*client.ask(question | given({"case": case, "cursor": cursor})))
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        show(document)


@app.command()
def unread(
    name: Annotated[str, typer.Option(help="The citizen's number; - reads it from stdin.")],
    *,
    consent: Annotated[str | None, typer.Option(help="Only what rests on this consent.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Which deliveries about a citizen their recipients have not read yet, as he may ask."""
    number = sys.stdin.readline().strip() if name == "-" else name
    client = client_of(Role.CITIZEN, number, issuer=None, home=home)
    document = answered(*client.unread(given({"consent": consent})))
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
        return
    print_rows(document["unread"], _UNREAD)
    older = "" if document["complete"] else "; older ones were not looked at"
    typer.echo(f"{len(document['unread'])} of {document['looked_at']} readings lie unread{older}")
