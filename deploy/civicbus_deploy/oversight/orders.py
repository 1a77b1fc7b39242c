"""`civicbus order request | approve | carry-out`: what takes two officials.

The order is a file that goes from hand to hand: what is to be done and why, and the two tokens.
The stack holds the issuers' keys, so whoever runs it can be both officials; elsewhere each signs
with his own body's.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from civicbus_audit.places import Places
from civicbus_consumers.officers import orders
from civicbus_consumers.officers.orders import Act, Given, Order, OrderRefused
from civicbus_consumers.officers.token import read_issuers
from civicbus_consumers.recording.signing import read_signing_key
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import Pin
from civicbus_schemas.subject import person
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from civicbus_deploy.embedded.own import INSPECTORS, issuers_file
from civicbus_deploy.embedded.state import StateFolder, write_file
from civicbus_deploy.oversight.erasing import erase
from civicbus_deploy.provisioning.app import Site

app = typer.Typer(
    help="Erase a person's secret: an officer requests it, a supervisor approves.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Home = Annotated[
    Path | None, typer.Option(help="State folder; else CIVICBUS_HOME, else .civicbus here.")
]
File = Annotated[Path, typer.Argument(help="The order.")]
Name = Annotated[str, typer.Option(help="The official's id.")]


@app.command()
def request(
    file: File,
    *,
    erase_pin: Annotated[
        str, typer.Option("--erase", help="The person's PIN; - reads it from stdin.")
    ],
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; it is sealed with the leaf.")],
    home: Home = None,
) -> None:
    """Request as an officer, in a new file: it names the person by pseudonym only."""
    folder = StateFolder.at(home)
    order = Order(act=Act.ERASE, about=_name_of(folder, erase_pin), reason=reason)
    token = orders.request(order, _key(folder), issuer=INSPECTORS, name=name, now=time.time())
    if file.exists():
        raise Refused(f"{file} is there already", next_step="name a new file")
    _write(file, order, request=token)
    typer.echo(f"requested: {order.act} {order.about}")


@app.command()
def approve(file: File, *, name: Name, home: Home = None) -> None:
    """Approve a request, as a supervisor of another name."""
    folder = StateFolder.at(home)
    order, tokens = _read(file)
    key, now = _key(folder), time.time()
    token = orders.approve(order, tokens["request"], key, issuer=INSPECTORS, name=name, now=now)
    _given(folder, order, {**tokens, "approval": token})
    _write(file, order, request=tokens["request"], approval=token)
    typer.echo(f"approved: {order.act} {order.about}, because: {order.reason}")


@app.command()
def carry_out(file: File, *, home: Home = None) -> None:
    """Do what was requested and approved; it is on record before it is done."""
    folder = StateFolder.at(home)
    given = _given(folder, *_read(file))
    id_ = erase(Site.open(folder.home), given)
    typer.echo(f"erased, in record {id_}; recorders forget the secret within a minute")


def _name_of(folder: StateFolder, pin: str) -> str:
    subject = person(Pin(sys.stdin.readline().strip() if pin == "-" else pin))
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
        document: Any = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise OrderRefused(f"{file} holds no order", got=type(error).__name__) from None
    match document:
        case {
            "act": str(act),
            "about": str(about),
            "reason": str(reason),
            "request": str(),
            **rest,
        }:
            known = act in list(Act) and rest.keys() <= {"approval"}
            if known and all(isinstance(value, str) for value in rest.values()):
                tokens = {k: document[k] for k in ("request", "approval") if k in document}
                return Order(act=Act(act), about=about, reason=reason), tokens
    raise OrderRefused(f"{file} holds no order", expected="what `civicbus order request` wrote")
