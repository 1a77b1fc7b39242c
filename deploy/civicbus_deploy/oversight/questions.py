"""`civicbus officers ask | export | unread | token`: what this stack's officers' process is asked.

The stack holds the keys of all issuers, so whoever runs it can ask in any role and any name, and
every question is a leaf. `civicbus audit search` reads the index directly and leaves none.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from civicbus_audit.command_line import CommandLine
from civicbus_consumers.officers.rules import Role

from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.oversight import casework, saved
from civicbus_deploy.oversight.asking import answered, token_of
from civicbus_deploy.oversight.exporting import export
from civicbus_deploy.oversight.options import (
    Agency,
    AgencyCase,
    As,
    AsJson,
    Decided,
    Flagged,
    Home,
    Issuer,
    OfficerOf,
    OwnCase,
    Pin,
    Purpose,
    Since,
    Words,
    client_of,
    or_stdin,
)
from civicbus_deploy.oversight.showing import given, print_rows, show

_UNREAD = ("since", "recipient", "agreement", "purpose", "type", "record_id")

app = CommandLine(
    help="Ask the ledger as an officer, a supervisor, an agency's auditor or a citizen.",
    no_args_is_help=True,
)
app.add_typer(casework.app, name="case")
app.add_typer(saved.app, name="saved")
app.command("export")(export)
Name = Annotated[str, typer.Option(help="The official's id, or the citizen's number.")]


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
    purpose: Purpose,
    case: OwnCase = None,
    pin: Pin = None,
    agency: Agency = None,
    officer: OfficerOf = None,
    agency_case: AgencyCase = None,
    flag: Flagged = None,
    dataset: Words = None,
    decision: Decided = None,
    since: Since = None,
    until: Words = None,
    limit: int = 50,
    cursor: Annotated[str | None, typer.Option(help="Of the answer before.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Put a question; it is on record before its answer is read."""
    find = {
        "pin": pin and or_stdin(pin),
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
    number = or_stdin(name)
    client = client_of(Role.CITIZEN, number, issuer=None, home=home)
    document = answered(*client.unread(given({"consent": consent})))
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
        return
    print_rows(document["unread"], _UNREAD)
    newer = document["not_indexed"]
    told = f"{len(document['unread'])} of {document['looked_at']} readings lie unread"
    if newer:
        told += f"; {newer} newer leaves are not indexed yet"
    elif not document["complete"]:
        told += "; older ones were not looked at"
    typer.echo(told)
