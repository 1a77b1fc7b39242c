"""The command `civicbus`: the stack's own verbs, and the other members' commands, mounted lazily.

Data goes to stdout, narration and errors to stderr. Exit codes:

    0  done, and healthy       3  refused: something must be changed first
    1  fatal: read the log     4  not now: the same call may succeed later
    2  wrong usage             5  `status`, `doctor`: something is not healthy
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from civicbus_audit.command_line import CommandLine
from civicbus_schemas.errors import BusError, InvalidIdentifier, Misused, Refused, Retryable
from typer.core import TyperCommand, TyperGroup

from civicbus_deploy.embedded.state import StateFolder

# each member owns its commands; here is only where to find them, and one line for our help
MOUNTED = {
    "agreement": (
        "civicbus_deploy.agreements.cli",
        "Agreements: review, approve, stop.",
    ),
    "audit": (
        "civicbus_deploy.oversight.auditing",
        "Find, prove and verify what the ledger tells.",
    ),
    "breakglass": ("civicbus_deploy.oversight.emergencies", "Review answers for emergencies."),
    "case": ("civicbus_deploy.oversight.cases", "Close a case; what it hid is shown."),
    "consent": (
        "civicbus_consumers.consent.registry.cli",
        "Ask for, give, change and withdraw consents.",
    ),
    "demo": ("civicbus_deploy.demo.cli", "Tell the main job as one story, then check it."),
    "explain": ("civicbus_deploy.agreements.explaining", "May an agency have a field, and why."),
    "flags": ("civicbus_deploy.oversight.flags", "Readings that nothing explains: list, label."),
    "officers": ("civicbus_deploy.oversight.questions", "Ask the ledger; the question is a leaf."),
    "order": ("civicbus_deploy.oversight.orders", "Erase a person, unseal a record: it takes two."),
    "population": ("civicbus_consumers.population.cli", "The population view: hash, rebuild."),
    "scrub": ("civicbus_consumers.scrubbing.cli", "Topic, ledger, index, witnesses: compare all."),
    "pseudonyms": ("civicbus_deploy.pseudonyms.cli", "Rotate keys of recipients' pseudonyms."),
    "provision": ("civicbus_deploy.provisioning.cli", "Topics, users, grants, schemas, policy."),
    "witness": ("civicbus_audit.witness.cli", "Cosign what continues a log: make a key, run."),
    "replay": ("civicbus_deploy.hindsight.replaying", "Make every past decision again."),
    "shadow": ("civicbus_deploy.hindsight.shadowing", "Past decisions under another policy set."),
}
FATAL, USAGE, REFUSED, NOT_NOW, UNHEALTHY = 1, 2, 3, 4, 5


class Mounting(TyperGroup):
    """A group that imports a member's commands when they are called for, not before."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Our verbs, then the members'."""
        return [*super().list_commands(ctx), *MOUNTED]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command as the help lists it; a member's is not imported for that."""
        if cmd_name not in MOUNTED:
            return super().get_command(ctx, cmd_name)
        return TyperCommand(cmd_name, help=MOUNTED[cmd_name][1])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called; a member's is the `app` of its module."""
        name, *rest = args
        if name not in MOUNTED:
            return super().resolve_command(ctx, args)
        module = importlib.import_module(MOUNTED[name][0])
        return name, typer.main.get_command(module.app), rest


app = CommandLine(
    cls=Mounting,
    help="An event-driven data-sharing bus between public agencies.",
    no_args_is_help=True,
)
Home = Annotated[
    Path | None,
    typer.Option(help="State folder; else CIVICBUS_HOME, else .civicbus here.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command()
def up(
    home: Home = None,
    servers_only: Annotated[bool, typer.Option(help="Only what we did not write.")] = False,
    nation: Annotated[str, typer.Option(help="Which nation's files to provision.")] = "vietnam",
) -> None:
    """Start the whole stack, or complete it; harmless when it is up."""
    from rich.console import Console

    from civicbus_deploy.embedded import lifecycle

    console = Console(stderr=True)
    folder = StateFolder.at(home)

    def provision(where: StateFolder) -> None:
        # what clients say of their connections is no part of the narration
        logging.basicConfig(filename=where.log("up"), level=logging.WARNING)
        module = importlib.import_module("civicbus_deploy.provisioning")
        module.provision(where.home, nation)

    hook = None if servers_only else provision
    lifecycle.up(folder, provision=hook, console=console, say=console.print)
    console.print(f"up, in {folder.home}; next: civicbus status, civicbus env, civicbus down")


@app.command()
def down(home: Home = None) -> None:
    """End every process and keep the state."""
    from civicbus_deploy.embedded import lifecycle

    folder = StateFolder.at(home)
    ran = lifecycle.down(folder, say=_say)
    _say(f"down; the state stays in {folder.home}" if ran else "nothing was running")


@app.command()
def env(
    home: Home = None,
    as_json: AsJson = False,
    agency: Annotated[str | None, typer.Option(help="An agency's own connection.")] = None,
) -> None:
    """Where everything is: addresses, and paths of secrets. Works while the stack is down."""
    from civicbus_deploy.embedded.environment import agency_environment, environment

    folder = StateFolder.at(home)
    found = environment(folder) if agency is None else agency_environment(folder, agency)
    if as_json:
        _print_json(found)
        return
    for key, value in found.items():
        sys.stdout.write(f"{key}={value if isinstance(value, str) else json.dumps(value)}\n")


@app.command()
def status(home: Home = None, as_json: AsJson = False) -> None:
    """What runs, how far behind it is, how old the checkpoint is."""
    from civicbus_deploy.embedded import status as state

    found = state.status(StateFolder.at(home))
    if as_json:
        _print_json(found.to_json())
    else:
        state.show(found)
    if not found.healthy:
        raise typer.Exit(UNHEALTHY)


@app.command()
def doctor(home: Home = None, as_json: AsJson = False) -> None:
    """Green, yellow or red for every part, with the next step."""
    from civicbus_deploy.embedded import doctor as practice
    from civicbus_deploy.embedded.examination import examine

    findings = examine(StateFolder.at(home))
    if as_json:
        _print_json({finding.part: finding.to_json() for finding in findings})
    else:
        practice.show(findings)
    if any(finding.colour == practice.Colour.RED for finding in findings):
        raise typer.Exit(UNHEALTHY)


def _print_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def exit_code_of(error: BusError) -> int:
    """The exit code that tells a script what kind of error it was."""
    match error:
        case Misused() | InvalidIdentifier():
            return USAGE
        case Refused():
            return REFUSED
        case Retryable():
            return NOT_NOW
        case _:
            return FATAL


def main() -> None:
    """The entry point: errors of ours are a sentence and an exit code, never a traceback."""
    # What clients say of their connections is for logs; what becomes of a command is raised.
    logging.getLogger("civicbus").addHandler(logging.NullHandler())
    try:
        app(prog_name="civicbus")
    except BusError as error:
        _say(f"civicbus: {error}")
        sys.exit(exit_code_of(error))
