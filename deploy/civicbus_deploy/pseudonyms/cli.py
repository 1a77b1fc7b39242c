"""`civicbus pseudonyms`: which recipient has which key, a new key, the end of a former one."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from civicbus_audit.command_line import CommandLine
from civicbus_schemas.errors import Misused
from rich.table import Table

from civicbus_deploy.embedded import lifecycle, pseudonyms
from civicbus_deploy.embedded.screen import paper
from civicbus_deploy.embedded.state import StateFolder

app = CommandLine(
    help="Rotate the keys of recipients' pseudonyms.",
    no_args_is_help=True,
)
Home = Annotated[
    Path | None,
    typer.Option(help="State folder; else CIVICBUS_HOME, else .civicbus here.", show_default=False),
]


@app.command("list")
def list_keys(
    home: Home = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Every recipient's epoch, and how long it is told both pseudonyms; never a key."""
    keyring = pseudonyms.read_keyring(StateFolder.at(home))
    rows = [
        {
            "recipient": agency,
            "epoch": keys.epoch,
            "told_until": None if keys.told_until is None else keys.told_until.isoformat(),
        }
        for agency, keys in sorted(keyring.items())
    ]
    if as_json:
        sys.stdout.write(json.dumps({"recipients": rows}) + "\n")
        return
    table = Table("recipient", "epoch", "told both until", box=None)
    for row in rows:
        table.add_row(str(row["recipient"]), str(row["epoch"]), str(row["told_until"] or ""))
    paper().print(table)


@app.command()
def rotate(
    agency: str,
    overlap_days: Annotated[int, typer.Option(help="So long both pseudonyms are told.")] = 30,
    home: Home = None,
) -> None:
    """Give one recipient a new key, and so new pseudonyms of everybody."""
    folder = StateFolder.at(home)
    overlap = timedelta(days=overlap_days)
    with lifecycle.changing(folder, say=_say):
        keys = pseudonyms.rotate(folder, agency, overlap=overlap, at=datetime.now(UTC))
    typer.echo(
        f"{agency} has key {keys.epoch}; it is told both pseudonyms until {keys.told_until:%F}"
    )


@app.command()
def retire(
    agency: Annotated[str | None, typer.Argument(help="With --now: whose overlap ends.")] = None,
    now: Annotated[bool, typer.Option("--now", help="End the agency's overlap early.")] = False,
    home: Home = None,
) -> None:
    """Destroy the former keys whose overlap is over."""
    if now != (agency is not None):
        raise Misused("--now and an agency belong together", next_step="name both, or neither")
    folder = StateFolder.at(home)
    with lifecycle.changing(folder, say=_say):
        due = pseudonyms.retire(folder, at=datetime.now(UTC), now=agency)
    typer.echo(f"destroyed the former key of {', '.join(due)}" if due else "no former key is due")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
