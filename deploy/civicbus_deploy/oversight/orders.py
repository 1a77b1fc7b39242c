"""`civicbus order request | approve | carry-out`: what takes two officials.

The order is a file that goes from hand to hand: what is to be done and why, and the two tokens.
The stack holds the issuers' keys, so whoever runs it can be both officials; elsewhere each signs
with his own body's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from civicbus_audit.command_line import CommandLine
from civicbus_audit.places import Places
from civicbus_consumers.lookup.problems import Problem
from civicbus_consumers.officers import orders
from civicbus_consumers.officers.order_service import PATH
from civicbus_consumers.officers.orders import Act, Given, Order, OrderRefused
from civicbus_consumers.officers.request import canonical, parse_export
from civicbus_consumers.officers.rules import Official, Role
from civicbus_consumers.officers.token import read_issuers
from civicbus_consumers.recording.signing import read_signing_key
from civicbus_schemas.errors import Misused, Refused, Unavailable
from civicbus_schemas.ids import Pin
from civicbus_schemas.subject import person
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from civicbus_deploy.embedded.environment import environment
from civicbus_deploy.embedded.keys import INSPECTORS, issuers_file
from civicbus_deploy.embedded.state import StateFolder, write_file
from civicbus_deploy.oversight.erasing import erase
from civicbus_deploy.oversight.exporting import tell_written
from civicbus_deploy.oversight.options import Home, client_of, or_stdin
from civicbus_deploy.oversight.pruning import Pruned, prune_site
from civicbus_deploy.provisioning.app import Site

app = CommandLine(
    help="Erase a person's secret, unseal a record, prune the ledger, export much: what takes two.",
    no_args_is_help=True,
)
_HEADERS = {"Content-Type": "application/json", "Accept-Language": "en"}
File = Annotated[Path, typer.Argument(help="The order.")]
Name = Annotated[str, typer.Option(help="The official's id.")]


@app.command()
def request(
    file: File,
    *,
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; it is sealed with the leaf.")],
    erase_pin: Annotated[
        str | None, typer.Option("--erase", help="The person's PIN; - reads it from stdin.")
    ] = None,
    unseal: Annotated[str | None, typer.Option(help="The record's id.")] = None,
    prune_before: Annotated[
        str | None, typer.Option(help="Prune the ledger of what is older than this day (UTC).")
    ] = None,
    export: Annotated[
        str | None,
        typer.Option(help="A file with purpose, case and find as JSON; - reads it from stdin."),
    ] = None,
    home: Home = None,
) -> None:
    """Request as an officer, in a new file; it names a person whom it erases by pseudonym only."""
    folder = StateFolder.at(home)
    match erase_pin, unseal, prune_before, export:
        case str(pin), None, None, None:
            order = _order(Act.ERASE, _name_of(folder, pin), reason)
        case None, str(record), None, None:
            order = _order(Act.UNSEAL, record, reason)
        case None, None, str(day), None:
            order = _order(Act.PRUNE, day, reason)
        case None, None, None, str(question):
            order = _order(Act.EXPORT, _question_in(question), reason)
        case _:
            raise Misused(
                "what is requested?", expected="one of --erase, --unseal, --prune-before, --export"
            )
    token = orders.request(order, _key(folder), issuer=INSPECTORS, name=name, now=time.time())
    if file.exists():
        raise Refused(f"{file} is there already", next_step="name a new file")
    _write(file, order, request=token)
    typer.echo(f"requested: {order.act}, in {file}")


@app.command()
def approve(file: File, *, name: Name, home: Home = None) -> None:
    """Approve a request, as a supervisor of another name."""
    folder = StateFolder.at(home)
    order, tokens = _read(file)
    key, now = _key(folder), time.time()
    token = orders.approve(order, tokens["request"], key, issuer=INSPECTORS, name=name, now=now)
    _given(folder, order, {**tokens, "approval": token})
    _write(file, order, request=tokens["request"], approval=token)
    typer.echo(f"approved: {_told(order)}, because: {order.reason}")


@app.command()
def carry_out(
    file: File,
    *,
    to: Annotated[
        Path | None, typer.Option(help="The bundle to write, a zip; of an export alone.")
    ] = None,
    home: Home = None,
) -> None:
    """Do what was requested and approved; it is on record before it is done."""
    folder = StateFolder.at(home)
    given = _given(folder, *_read(file))
    match given.order.act, to:
        case Act.UNSEAL, None:
            _unseal(folder, file)
        case Act.EXPORT, Path() as target:
            _export(folder, file, target, by=given.asked_by)
        case Act.ERASE, None:
            id_ = erase(Site.open(folder.home), given)
            typer.echo(f"erased, in record {id_}; recorders forget the secret within a minute")
        case Act.PRUNE, None:
            _tell_pruned(prune_site(Site.open(folder.home), given))
        case _:
            raise Misused(
                "a bundle needs a file, and nothing else does", expected="--to for an export"
            )


def _told(order: Order) -> str:
    about = f"what is older than {order.about}" if order.act is Act.PRUNE else order.about
    return f"{order.act} {about}"


def _tell_pruned(done: Pruned) -> None:
    said = done.pruning
    typer.echo(
        f"pruned by leaf {said.leaf}: entries 0 to {said.minimum - 1}, in {done.deleted} files; "
        f"the ledger is claimed from leaf {said.first} on"
    )
    if done.offset is None:
        typer.echo("the page topic still has what it had: its first kept page was not found there")
    else:
        typer.echo(f"the page topic begins at offset {done.offset}")


def _order(act: Act, about: str, reason: str) -> Order:
    try:
        return Order(act=act, about=about, reason=reason)
    except OrderRefused as error:
        raise Misused(error.what, expected=error.expected) from None


def _question_in(file: str) -> str:
    """The question in a file of JSON, in its one spelling."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        return canonical(parse_export(text.encode())).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{file} cannot be read", got=type(error).__name__) from None
    except Problem as error:
        raise Misused(
            f"{file} asks for no bundle",
            got=f"{error.members.get('member')}: {error.members.get('got')}",
            expected=str(error.members.get("expected")),
        ) from None


def _name_of(folder: StateFolder, pin: str) -> str:
    subject = person(Pin(or_stdin(pin)))
    with closing(Places.under(folder.home).vault()) as vault:
        found = vault.find([subject])
    if not found:
        raise Refused("the vault knows no such person", next_step="nothing is left to be erased")
    return found[subject].pseudonym


def _key(folder: StateFolder) -> Ed25519PrivateKey:
    return read_signing_key(folder.secrets / f"officers-{INSPECTORS}.pem")[0]


def _given(folder: StateFolder, order: Order, tokens: dict[str, str]) -> Given:
    return orders.verify(
        order,
        tokens["request"],
        tokens.get("approval", ""),
        issuers=read_issuers(issuers_file(folder)),
        now=time.time(),
    )


def _write(file: Path, order: Order, **tokens: str) -> None:
    document = {"act": order.act, "about": order.about, "reason": order.reason, **tokens}
    write_file(file, json.dumps(document, ensure_ascii=False, indent=1).encode())


def _read(file: Path) -> tuple[Order, dict[str, str]]:
    try:
        return orders.parse_order(file.read_bytes())
    except OSError as error:
        raise OrderRefused(f"{file} cannot be read", got=type(error).__name__) from None


def _export(folder: StateFolder, file: Path, target: Path, *, by: Official) -> None:
    client = client_of(Role.OFFICER, by.name, issuer=by.agency, home=folder.home)
    tell_written(target, *client.export(json.loads(file.read_bytes()), target, ordered=True))


def _unseal(folder: StateFolder, file: Path) -> None:
    url = environment(folder)["officers_url"]
    try:
        answer = httpx2.post(
            f"{url}{PATH}", content=file.read_bytes(), headers=_HEADERS, timeout=20
        )
        document: Mapping[str, Any] = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise Unavailable(
            "the officers' process does not answer",
            got=type(error).__name__,
            next_step="civicbus status; the unsealing may be on record all the same",
        ) from None
    if "contents" not in document:
        raise Refused(str(document.get("title")), got=f"{document.get('code')}")
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
