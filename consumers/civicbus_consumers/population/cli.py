"""`civicbus population`: what the view holds, its hash, and making it anew from its deliveries."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from civicbus_audit.command_line import CommandLine
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sqlalchemy import Connection, Engine, func, select

from civicbus_consumers.population import rebuild as rebuilding
from civicbus_consumers.population.database import errors_translated, make_engine
from civicbus_consumers.population.hashing import view_hash
from civicbus_consumers.population.settings import PopulationSettings
from civicbus_consumers.population.tables import person, quarantine, state, watermark

app = CommandLine(
    name="population",
    help="The population view: status, hash, rebuild.",
    no_args_is_help=True,
)
Home = Annotated[Path, typer.Option(envvar="CIVICBUS_HOME", help="State folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]

HOME = Path(".civicbus")
DIFFERENT = 1


@app.command()
def status(home: Home = HOME, as_json: AsJson = False) -> None:
    """How many persons and deliveries the view holds, what it refused, and how far it read."""
    with _connected(home) as engine, errors_translated("reading the view"), engine.connect() as at:
        found = _status(at)
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("", "", show_header=False)
    for key in ("persons", "deliveries", "watermark", "applied_at", "refused"):
        table.add_row(key, str(found[key]))
    Console().print(table)


@app.command(name="hash")
def hash_(home: Home = HOME, as_json: AsJson = False) -> None:
    """The SHA-256 of the whole view, the same wherever the same deliveries were applied."""
    with _connected(home) as engine, engine.connect() as connection:
        total = connection.scalar(select(func.count()).select_from(person)) or 0
        with _bar("hashing", "persons") as progress:
            found = view_hash(connection, on_rows=lambda rows: progress(rows, total))
    typer.echo(json.dumps({"hash": found, "persons": total}) if as_json else found)


@app.command()
def rebuild(
    home: Home = HOME,
    as_json: AsJson = False,
    even_if_different: Annotated[
        bool, typer.Option(help="Take the rebuilt view also where it differs from the present one.")
    ] = False,
) -> None:
    """Make the view anew from its deliveries, compare, and swap if it is the same (else exit 1)."""
    with _bar("rebuilding", "deliveries") as progress:
        made = rebuilding.rebuild(
            _settings(home), even_if_different=even_if_different, progress=progress
        )
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "view_hash": made.view_hash,
                    "rebuilt_hash": made.copy_hash,
                    "equal": made.equal,
                    "replaced": made.replaced,
                    "deliveries": made.copy_deliveries,
                }
            )
        )
    else:
        typer.echo(f"view     {made.view_hash}  of {made.view_deliveries} deliveries")
        typer.echo(f"rebuilt  {made.copy_hash}  of {made.copy_deliveries} deliveries")
        typer.echo("the same" if made.equal else "DIFFERENT: the view is not what was delivered")
        typer.echo("the rebuilt view is in place" if made.replaced else "nothing was replaced")
    if not made.equal:
        raise typer.Exit(DIFFERENT)


def _status(connection: Connection) -> dict[str, Any]:
    batch, deliveries, applied_at = connection.execute(
        select(state.c.batch, state.c.deliveries, state.c.applied_at)
    ).one()
    refused = select(quarantine.c.reason, func.count()).group_by(quarantine.c.reason)
    positions = connection.execute(select(watermark))
    return {
        "persons": connection.scalar(select(func.count()).select_from(person)),
        "deliveries": deliveries,
        "watermark": batch,
        "applied_at": applied_at.isoformat() if applied_at else None,
        "refused": dict(connection.execute(refused).all()),
        "positions": {f"{topic}[{partition}]": offset for topic, partition, offset in positions},
    }


def _settings(home: Path) -> PopulationSettings:
    return PopulationSettings.read(home / "processes" / "population.json")


@contextmanager
def _connected(home: Path) -> Iterator[Engine]:
    engine = make_engine(_settings(home).postgres_dsn_file)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _bar(verb: str, unit: str) -> Iterator[rebuilding.Progress]:
    """Count, rate and remaining time, on stderr."""
    columns = (
        TextColumn(f"{verb} {{task.completed:,.0f}} of {{task.total:,.0f}} {unit}"),
        BarColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb, total=0, rate="")
        started = time.monotonic()

        def update(done: int, total: int) -> None:
            rate = done / max(time.monotonic() - started, 0.001)
            bar.update(task, completed=done, total=total, rate=f"{rate:,.0f}/s")

        yield update
