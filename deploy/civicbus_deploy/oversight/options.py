"""What the commands of oversight share: options, and the officers' process asked in a role."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from civicbus_consumers.flags.words import Flag
from civicbus_consumers.officers.client import OfficersClient
from civicbus_consumers.officers.rules import QueryPurpose, Role
from civicbus_schemas.vocabulary import Outcome

from civicbus_deploy.embedded.environment import environment
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.oversight.asking import token_of

Home = Annotated[
    Path | None, typer.Option(help="State folder; else CIVICBUS_HOME, else .civicbus here.")
]
As = Annotated[Role, typer.Option("--as", help="In which role.")]
Name = Annotated[str, typer.Option(help="The official's id; it is sealed.")]
Issuer = Annotated[
    str | None, typer.Option(help="The agency that vouches; needed for an agency's auditor.")
]
Purpose = Annotated[QueryPurpose, typer.Option(help="Why.")]
OwnCase = Annotated[str | None, typer.Option(help="The asker's own case.")]
Pin = Annotated[str | None, typer.Option(help="About whom; - reads it from stdin.")]
Agency = Annotated[str | None, typer.Option(help="Who was given data.")]
OfficerOf = Annotated[str | None, typer.Option(help="That agency's officer.")]
AgencyCase = Annotated[str | None, typer.Option(help="That agency's case.")]
Flagged = Annotated[Flag | None, typer.Option(help="What was flagged so.")]
Decided = Annotated[Outcome | None, typer.Option()]
Since = Annotated[str | None, typer.Option(help="ISO 8601 with its zone.")]
Words = Annotated[str | None, typer.Option()]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def or_stdin(given: str) -> str:
    """What was given; for - a line of stdin, where no process list shows it."""
    return sys.stdin.readline().strip() if given == "-" else given


def client_of(role: Role, name: str, *, issuer: str | None, home: Path | None) -> OfficersClient:
    """A client of this stack's officers' process that asks as this official."""
    folder = StateFolder.at(home)
    token = token_of(folder, role, name, issuer=issuer)
    return OfficersClient(url=environment(folder)["officers_url"], token=token)
