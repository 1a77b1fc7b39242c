"""`civicbus agreement unused`: what is granted and nobody has had. It reads the ledger's files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from civicbus_audit.pruning_command import beginning, tell_beginning
from civicbus_schemas.record import RECORD, Record
from rich.table import Column, Table

from civicbus_deploy.agreements import usage
from civicbus_deploy.agreements.options import AsJson, Home, print_json
from civicbus_deploy.agreements.sets import chosen
from civicbus_deploy.embedded.screen import paper
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.hindsight.archive import open_ledger


def unused(
    *,
    days: Annotated[int, typer.Option(min=0, help="How far back to look.")],
    nation: Annotated[
        str | None, typer.Option(help="A nation's folder, else what is announced.", metavar="DIR")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Fields that agreements in force grant and that nobody has had for so many days."""
    now = datetime.now(UTC)
    policy = chosen(nation, home)
    log = open_ledger(StateFolder.at(home))
    uses = usage.last_uses(Record.decode(leaf) for _, leaf in log.leaves() if RECORD.wrote(leaf))
    since = now - timedelta(days=days)
    rows = [
        {
            "agreement": row.granted.agreement,
            "field": f"{row.granted.dataset}:{row.granted.field}",
            "in force since": str(row.since),
            "last use": "never" if row.last_use is None else row.last_use.isoformat("T", "seconds"),
        }
        for row in usage.unused(policy, uses, since=since, now=now)
    ]
    if as_json:
        print_json({"days": days, "policy": policy.version, "unused": rows} | beginning(log))
        return
    if rows:
        table = Table(*(Column(name, overflow="fold") for name in rows[0]), box=None)
        for row in rows:
            table.add_row(*row.values())
        paper().print(table)
    else:
        typer.echo(f"every field was used in the last {days} days")
    tell_beginning(log)
