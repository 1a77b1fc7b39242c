"""`civicbus shadow`: past decisions under another policy set. It prints no personal data."""

from __future__ import annotations

from typing import Annotated

import typer
from civicbus_audit.command_line import CommandLine
from civicbus_audit.pruning_command import beginning, tell_beginning
from civicbus_consumers.explain.rules import compile_law
from civicbus_consumers.replay.shadow import shadow
from rich.table import Table

from civicbus_deploy.embedded.screen import paper
from civicbus_deploy.hindsight.archive import Archive, read_set
from civicbus_deploy.hindsight.options import AsJson, Days, Home, Sets, pasts, print_json

app = CommandLine()


@app.command()
def main(
    other: Annotated[
        str, typer.Argument(help="A nation's folder or name, or a set's file.", metavar="SET")
    ],
    home: Home = None,
    sets: Sets = None,
    days: Days = None,
    as_json: AsJson = False,
) -> None:
    """Tell which past decisions would be others under another policy set."""
    law = compile_law(read_set(other))
    archive = Archive.open(home, sets=sets)
    with pasts(archive, days, "shadowing") as decisions:
        counted = shadow(decisions, archive.law_of, law)
    rows = [
        {
            "agreement": flip.agreement,
            "field": flip.field,
            "way": flip.way.value,
            "reason": flip.reason,
            "decisions": count,
        }
        for flip, count in sorted(counted.flips.items())
    ]
    if as_json:
        print_json(
            {
                "policy": law.policy.version,
                "decisions": counted.decisions,
                "flipped": counted.flipped,
                "flips": rows,
                "untold": dict(counted.untold),
                **beginning(archive.log),
            }
        )
        return
    if rows:
        table = Table(*rows[0], box=None)
        for row in rows:
            table.add_row(*map(str, row.values()))
        paper().print(table)
    typer.echo(f"{counted.flipped:,} of {counted.decisions:,} decisions would be others")
    for reason, count in sorted(counted.untold.items()):
        typer.echo(f"cannot be told of {count:,}: {reason}")
    tell_beginning(archive.log)
