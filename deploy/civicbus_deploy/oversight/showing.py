"""What a question gives and what its answer shows on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.table import Column, Table

from civicbus_deploy.embedded.screen import paper

_SHOWN = ("leaf", "at", "recipient", "kind", "purpose", "basis", "decision", "officer", "id")


def given(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that were filled in."""
    return {name: value for name, value in members.items() if value is not None}


def show(document: Mapping[str, Any]) -> None:
    """Print an answer."""
    print_rows(document["rows"], _SHOWN)
    typer.echo(f"this question is record {document['receipt']['record_id']}")
    if document.get("hidden"):
        typer.echo(f"{document['hidden']} more, in investigations that go on")
    if document["range"]["not_indexed"]:
        typer.echo(f"{document['range']['not_indexed']} newer leaves are not indexed yet")
    if first := document["range"]["pruned"]:
        typer.echo(f"what was before leaf {first} was pruned; of that nothing is claimed")
    if document["cursor"]:
        typer.echo(f"more: --cursor {document['cursor']}")


def print_rows(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Print these members of each row as a table."""
    table = Table(*(Column(name, overflow="fold") for name in names), box=None)
    for row in rows:
        told = (row.get(name) for name in names)
        table.add_row(*("" if value is None else str(value) for value in told))
    paper().print(table)
