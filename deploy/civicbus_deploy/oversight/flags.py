"""`civicbus flags list | show | label`: readings that nothing explains, and what officers think.

Whoever runs the stack reads the flags directly, and leaves no leaf by that; a label is a leaf.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated, Any

import typer
from civicbus_audit.command_line import CommandLine
from civicbus_consumers.flags.database import make_engine
from civicbus_consumers.flags.findings import Finding
from civicbus_consumers.flags.reading import Shown, get_flag, list_flags
from civicbus_consumers.flags.records import record_label
from civicbus_consumers.flags.words import Flag, Label
from civicbus_consumers.recording.pages import Stamp
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import agency_id
from civicbus_schemas.record import Record
from rich.table import Column, Table
from sqlalchemy import Engine

from civicbus_deploy.embedded import postgres
from civicbus_deploy.embedded.screen import paper
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.oversight.acting import Officer, open_vault, record_act
from civicbus_deploy.oversight.options import AsJson, Home
from civicbus_deploy.provisioning.app import Site

app = CommandLine(
    help="Readings that nothing explains: list, show, label.",
    no_args_is_help=True,
)
_LISTED = ("id", "at", "agency", "officer", "score", "seen", "for", "state")


@app.command("list")
def list_(
    *,
    closed_too: Annotated[bool, typer.Option("--all", help="Closed ones, too.")] = False,
    flag: Annotated[Flag | None, typer.Option(help="Of one kind.")] = None,
    agency: Annotated[str | None, typer.Option(help="Of one agency's officers.")] = None,
    limit: int = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """The gravest first."""
    with _engine(StateFolder.at(home)) as engine:
        found = list_flags(engine, closed_too=closed_too, word=flag, agency=agency, limit=limit)
    rows = [_document(shown) for shown in found]
    if as_json:
        _print_json({"flags": rows})
    elif rows:
        table = Table(*(Column(name, overflow="fold") for name in _LISTED), box=None)
        for row in rows:
            table.add_row(*(str(row[name] or "") for name in _LISTED))
        paper().print(table)
    else:
        typer.echo("no flag is open" if not closed_too else "there are no flags")


@app.command()
def show(
    flag: Annotated[str, typer.Argument(help="The flag's id.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """One flag: what raised it, what speaks for the reading, and what officers made of it."""
    with _engine(StateFolder.at(home)) as engine:
        document = _document(get_flag(engine, flag))
    if as_json:
        _print_json(document)
        return
    for name, value in document.items():
        if value not in (None, "", []):
            typer.echo(f"{name:10} {value}")


@app.command()
def label(
    flag: Annotated[str, typer.Argument(help="The flag's id.")],
    *,
    as_label: Annotated[Label, typer.Option("--label", help="What it was found to be.")],
    why: Annotated[str, typer.Option(help="It is sealed.")],
    agency: Annotated[str, typer.Option("--as", help="The agency of the labelling officer.")],
    officer: Annotated[str, typer.Option(help="The labelling officer's id; it is sealed.")],
    home: Home = None,
) -> None:
    """Say what a flag was; it is a leaf, and later flags of the same kind and officer heed it."""
    site = Site.open(StateFolder.at(home).home)
    by = Officer(agency=agency_id(agency), name=officer)
    with _engine(site.folder) as engine:
        shown = get_flag(engine, flag)
    if shown.finding.agency == by.agency:
        raise Refused("nobody labels a flag of their own agency", expected="another agency")
    secret = canonical_json({"officer": by.name, "why": why})
    with closing(open_vault(site)) as vault:
        [own] = vault.get_or_create([by.subject]).values()

    def make(stamp: Stamp) -> Record:
        actor = by.actor(own)
        return record_label(shown.finding, as_label, by=actor, secret=secret, stamp=stamp)

    id_ = record_act(site, by, make, secret=secret, under=own)
    typer.echo(f"{flag} is labelled {as_label}, in record {id_}")


def _seen(found: Finding) -> str:
    """How much of it was seen, and how much is usual, as far as it is a matter of numbers."""
    count = "" if found.count is None else str(found.count)
    return count if found.usual is None else f"{count}, usually {found.usual:g}"


def _document(shown: Shown) -> dict[str, Any]:
    found = shown.finding
    return {
        "id": found.id,
        "flag": found.flag,
        "record": found.record,
        "at": found.at.isoformat(timespec="seconds"),
        "raised": found.raised_at.isoformat(timespec="seconds"),
        "agency": found.agency,
        "officer": found.officer,
        "score": found.score,
        "seen": _seen(found),
        "for": ", ".join(found.explanations),
        "reference": found.reference,
        "state": shown.closing or "open",
        "labels": [
            {"label": said.label, "at": said.at.isoformat(timespec="seconds"), "by": said.by}
            for said in shown.labels
        ],
    }


@contextmanager
def _engine(folder: StateFolder) -> Iterator[Engine]:
    engine = make_engine(postgres.dsn_file(folder, "bus"))
    try:
        yield engine
    finally:
        engine.dispose()


def _print_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
