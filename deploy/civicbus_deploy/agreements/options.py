"""Options that several commands of `civicbus agreement` share, and how they answer programs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

Nation = Annotated[
    str | None,
    typer.Option(help="A nation's folder, or the name of a packaged one.", metavar="DIR"),
]
Home = Annotated[
    Path | None,
    typer.Option(help="State folder; else CIVICBUS_HOME, else .civicbus here."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def print_json(document: object) -> None:
    """One line of JSON on stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
