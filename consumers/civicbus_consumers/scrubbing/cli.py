"""`civicbus scrub`: one whole pass, now, at full speed."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from civicbus_audit.command_line import CommandLine
from civicbus_audit.places import Places
from civicbus_schemas.errors import Unavailable
from civicbus_schemas.topics import AUDIT_PAGE
from rich.console import Console
from rich.table import Table

from civicbus_consumers.scrubbing.passing import Passed, Sides, scrub
from civicbus_consumers.scrubbing.topic import KafkaPages
from civicbus_consumers.sealing.settings import SealingSettings

app = CommandLine()
Home = Annotated[Path, typer.Option(envvar="CIVICBUS_HOME", help="State folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
HOME = Path(".civicbus")
EVIDENCE_BROKEN = 1
_COLUMNS = ("comparison", "kind", "offset", "leaf", "why")


@app.command(name="scrub")
def main(home: Home = HOME, as_json: AsJson = False) -> None:
    """Hold page topic, ledger, index and witnesses against each other; exit 1 if they differ."""
    places = Places.under(home)
    settings = SealingSettings.read(home / "processes" / "sealing.json")
    pages = KafkaPages(settings, topic=AUDIT_PAGE)
    with closing(pages):
        passed = scrub(
            Sides(
                ledger_dir=places.ledger_dir,
                trust=places.trust(),
                log=places.verifier(),
                dsn_file=places.dsn_file,
                pages=pages,
            )
        )
    _tell(passed, as_json=as_json)
    if passed.faults:
        raise typer.Exit(EVIDENCE_BROKEN)
    if passed.troubles:
        raise Unavailable("not all could be compared", next_step="civicbus status, then again")


def _tell(passed: Passed, *, as_json: bool) -> None:
    if as_json:
        holds = not passed.faults and not passed.troubles
        typer.echo(json.dumps({"holds": holds, **asdict(passed)}))
        return
    console = Console()
    if passed.faults:
        table = Table(*_COLUMNS)
        for fault in passed.faults:
            row = asdict(fault)
            table.add_row(*("" if row[name] is None else str(row[name]) for name in _COLUMNS))
        console.print(table)
    for comparison, why in passed.troubles.items():
        console.print(f"{comparison} was not compared: {why}", markup=False)
    console.print(f"{passed.messages} messages compared, {len(passed.faults)} contradictions")
