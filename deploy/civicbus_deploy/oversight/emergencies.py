"""`civicbus breakglass list | review`: answers for which the glass was broken."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from civicbus_audit.command_line import CommandLine
from civicbus_audit.index.oversight import Emergency
from civicbus_schemas.ids import agency_id
from rich.table import Column, Table

from civicbus_deploy.embedded.screen import paper
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.oversight.acting import (
    Officer,
    Verdict,
    find_emergencies,
    outcome_of,
)
from civicbus_deploy.oversight.acting import review as record_review
from civicbus_deploy.oversight.options import AsJson, Home
from civicbus_deploy.provisioning.app import Site

app = CommandLine(
    help="Review answers that were given for an emergency.",
    no_args_is_help=True,
)


@app.command("list")
def list_emergencies(
    open_only: Annotated[bool, typer.Option("--open", help="Only those without a review.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Every emergency, and whether it was reviewed within 24 hours."""
    now = datetime.now(UTC)
    found = find_emergencies(StateFolder.at(home))
    rows = [_row(one, now) for one in found if not (open_only and one.review)]
    if as_json:
        _print_json({"emergencies": rows, "overdue": sum(one.is_overdue(now) for one in found)})
    elif rows:
        table = Table(*(Column(name, overflow="fold") for name in rows[0]), box=None)
        for row in rows:
            table.add_row(*(str(value or "") for value in row.values()))
        paper().print(table)
    else:
        typer.echo("no emergency waits for a review" if open_only else "no glass was broken")


@app.command()
def review(
    record: Annotated[str, typer.Argument(help="The emergency's record id.")],
    *,
    verdict: Annotated[Verdict, typer.Option()],
    note: Annotated[str, typer.Option(help="Why; it is sealed.")],
    agency: Annotated[str, typer.Option("--as", help="The reviewing agency.")],
    officer: Annotated[str, typer.Option(help="The reviewing officer's id; it is sealed.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say whether an emergency was one; the review is a leaf of the ledger."""
    site = Site.open(StateFolder.at(home).home)
    by = Officer(agency=agency_id(agency), name=officer)
    id_ = record_review(site, record, verdict, by=by, note=note)
    if as_json:
        _print_json({"review": id_, "record": record, "verdict": verdict})
    else:
        typer.echo(f"{record} is reviewed: {verdict}, in record {id_}")


def _row(one: Emergency, now: datetime) -> dict[str, Any]:
    review = "overdue" if one.is_overdue(now) else "open"
    return {
        "record": one.entry.id,
        "at": None if one.entry.at is None else one.entry.at.isoformat(timespec="seconds"),
        "agency": one.entry.recipient,
        "agreement": one.entry.agreement,
        "fields": ", ".join(one.entry.fields),
        "review": review if one.review is None else outcome_of(one.review).value,
        "reviewer": None if one.review is None else one.review.actor,
    }


def _print_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
