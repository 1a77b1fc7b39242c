"""`civicbus demo`: the whole main job in one story.

Exit codes: 0 every check held · 1 a check failed · 3 refused · 4 not now.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from civicbus_audit.command_line import CommandLine

from civicbus_deploy.embedded.state import StateFolder

app = CommandLine()


@app.command()
def demo(
    home: Annotated[
        Path | None, typer.Option(help="State folder; else CIVICBUS_HOME, else .civicbus here.")
    ] = None,
    persons: Annotated[int, typer.Option(min=10, help="Synthetic persons.")] = 2_000,
    events: Annotated[int, typer.Option(min=100, help="Events they cause.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Draws everything.")] = 6,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as last line.")] = False,
) -> None:
    """Tell the main job as one story on the real servers, then check everything it claims."""
    from civicbus_deploy.demo.play import play

    totals = play(StateFolder.at(home), persons=persons, events=events, seed=seed, as_json=as_json)
    if as_json:
        sys.stdout.write(json.dumps(totals) + "\n")
    raise typer.Exit(0 if all(totals["checks"].values()) else 1)
