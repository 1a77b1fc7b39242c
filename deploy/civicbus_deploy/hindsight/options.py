"""What the commands of hindsight share: options, and past decisions at a visible pace."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from civicbus_audit.presenting import pace
from civicbus_consumers.replay.past import Past
from civicbus_consumers.replay.reading import past_decisions

from civicbus_deploy.hindsight.archive import Archive, days_ago

Home = Annotated[
    Path | None, typer.Option(help="State folder; else CIVICBUS_HOME, else .civicbus here.")
]
Sets = Annotated[
    Path | None,
    typer.Option(
        help="A folder of announced sets (*.json), if the bus does not run.", metavar="DIR"
    ),
]
Days = Annotated[int | None, typer.Option(min=0, help="Only decisions of the last days.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@contextmanager
def pasts(archive: Archive, days: int | None, doing: str) -> Iterator[Iterator[Past]]:
    """The archive's decisions of the last days, while it is told how far one has come."""
    with closing(archive.vault), pace(doing, archive.log.size) as advance:
        yield past_decisions(archive.log, archive.vault, since=days_ago(days), on_progress=advance)


def print_json(document: object) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
