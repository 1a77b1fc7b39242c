"""`civicbus unread`: what a recipient was given on a consent and has not read yet.

For the citizen who withdraws it: what is listed lies in the recipient's topics, and the notice of
the withdrawal behind it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from civicbus_consumers.consent.unread import find_unread
from civicbus_producers.settings import Connection
from civicbus_schemas.ids import AgencyId
from rich.console import Console
from rich.table import Table

from civicbus_deploy.embedded.environment import agency_environment, environment
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.provisioning.kafka import AdminAccess

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def unread(
    consent: Annotated[str, typer.Argument(help="The consent's id.")],
    *,
    recipient: Annotated[str, typer.Option(help="The agency that it was given to.")],
    home: Annotated[Path | None, typer.Option(help="State folder.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout.")] = False,
) -> None:
    """List the deliveries on a consent that the recipient has not read, by their records."""
    folder = StateFolder.at(home)
    agency_environment(folder, recipient)  # says which agencies there are
    connection = Connection.read(folder.agencies / f"{recipient}.json")
    env = environment(folder)
    access = AdminAccess(
        bootstrap=env["bootstrap"],
        username=env["admin_user"],
        password_file=Path(env["admin_secret_file"]),
    )
    found = find_unread(
        access, consent, recipient=AgencyId(recipient), topics=connection.topics_of(None)
    )
    if as_json:
        sys.stdout.write(json.dumps([asdict(one) for one in found]) + "\n")
        return
    table = Table("record", "event type", "delivery")
    for one in found:
        table.add_row(one.record_id, one.type, f"{one.topic}[{one.partition}]@{one.offset}")
    Console().print(table if found else "Nothing is unread.")
