"""What is said twice on a command line is refused, by every command of the house."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
import typer
from civicbus_audit.cli import app as audit
from civicbus_audit.command_line import CommandLine, SaidOnce
from civicbus_deploy.cli import MOUNTED
from civicbus_deploy.cli import app as civicbus
from typer.testing import CliRunner

app = CommandLine()


@app.command()
def ask(
    name: str,
    day: Annotated[str, typer.Option("--on", "--day")] = "",
    field: Annotated[list[str] | None, typer.Option()] = None,
    wait: Annotated[bool, typer.Option()] = True,
) -> None:
    """Print what was understood."""
    typer.echo(f"{name} {day} {field} {wait}")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["a", "--day", "1", "--day", "2"], "--day"),
        (["a", "--on", "1", "--day=1"], "--day"),
        (["a", "--wait", "--no-wait"], "--wait"),
    ],
)
def test_an_option_is_wrong_usage_when_it_is_given_twice(arguments: list[str], option: str) -> None:
    told = CliRunner().invoke(app, arguments)
    assert (told.exit_code, told.stdout) == (2, "")
    assert f"{option} is given 2 times" in told.stderr


def test_all_values_are_taken_when_an_option_holds_several() -> None:
    told = CliRunner().invoke(app, ["a", "--field", "x", "--field", "y", "--no-wait"])
    assert told.stdout == "a  ['x', 'y'] False\n"


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for child in command.commands.values():
            yield from _commands(child, f"{name} {child.name}")
    else:
        yield name, command


@pytest.mark.parametrize("member", ["civicbus", "civicbus-audit", *MOUNTED])
def test_every_command_of_the_house_takes_an_option_once(member: str) -> None:
    own = {"civicbus": civicbus, "civicbus-audit": audit}
    found = own.get(member) or importlib.import_module(MOUNTED[member][0]).app
    loose = [
        name
        for name, command in _commands(typer.main.get_command(found), member)
        if not isinstance(command, SaidOnce)
    ]
    assert loose == []
