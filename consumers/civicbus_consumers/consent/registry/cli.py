"""`civicbus consent`: the registry's acts and questions, as its agencies call them.

`request` speaks for the recipient named with `--agency`, everything else for the agency that keeps
the registry. Answers go to stdout; a malformed call ends with 2, a refusal with 3, a silent
registry with 4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from civicbus_audit.command_line import CommandLine
from civicbus_schemas.vocabulary import ConsentAct, UsePeriod
from rich.console import Console
from rich.table import Column, Table

from civicbus_consumers.consent.registry.calls import REGISTRAR, call, held_of, shown_today
from civicbus_consumers.consent.registry.client import RegistryAnswer

app = CommandLine(
    name="consent",
    help="Ask for, give, refuse, change and withdraw consents.",
    no_args_is_help=True,
)

HOME = Path(".civicbus")
ACCEPTED = 202

Home = Annotated[Path, typer.Option(envvar="CIVICBUS_HOME", help="State folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Lang = Annotated[str, typer.Option(help="vi or en.")]
As = Annotated[str, typer.Option("--agency", help="In whose name; its token key is used.")]
Number = Annotated[str, typer.Argument(help="The citizen's number.")]
Id = Annotated[str, typer.Argument(help="The consent's id, a UUID.")]
Signer = Annotated[
    str | None, typer.Option("--signer", help="Who signs: a guardian's number; else the citizen.")
]
Level = Annotated[
    int, typer.Option("--eid-level", min=0, max=2, help="With which eID level the signer acts.")
]
Fields = Annotated[list[str], typer.Option("--field", help="<event type or view>:<path>; again.")]
Until = Annotated[datetime | None, typer.Option("--until", help="Its end, in the machine's zone.")]
Erase = Annotated[datetime | None, typer.Option("--erase-at", help="By when it is all erased.")]
Count = Annotated[int | None, typer.Option("--uses", min=1, help="How often it may be used.")]
Per = Annotated[UsePeriod | None, typer.Option("--per", help="The period that uses count in.")]
Version = Annotated[int, typer.Option("--version", help="The version that is changed.")]


@app.command()
def request(
    pin: Number,
    agency: Annotated[str, typer.Option("--agency", help="The recipient that asks.")],
    purpose: Annotated[str, typer.Option(help="For what.")],
    field: Fields,
    full_name: Annotated[str, typer.Option(help="As registered.")],
    date_of_birth: Annotated[str, typer.Option(help="YYYY-MM-DD.")],
    until: Until = None,
    erase_at: Erase = None,
    uses: Count = None,
    per: Per = None,
    home: Home = HOME,
    as_json: AsJson = False,
) -> None:
    """A recipient asks a citizen for a consent."""
    body = {
        "consent_id": str(uuid4()),
        "pin": pin,
        "full_name": full_name,
        "date_of_birth": date_of_birth,
        "purpose": purpose,
        "fields": field,
        **_terms(until=until, erase_at=erase_at, uses=uses, per=per),
    }
    _tell(call(home, agency, ConsentAct.REQUEST, body=body), as_json=as_json)


@app.command()
def give(
    pin: Number,
    recipient: Annotated[str, typer.Option(help="Who may have it.")],
    purpose: Annotated[str, typer.Option(help="For what.")],
    field: Fields,
    consent_id: Annotated[
        str | None, typer.Option(help="The request's id; else a new one.")
    ] = None,
    signer: Signer = None,
    eid_level: Level = 2,
    until: Until = None,
    erase_at: Erase = None,
    uses: Count = None,
    per: Per = None,
    home: Home = HOME,
    as_json: AsJson = False,
) -> None:
    """The citizen consents to what the current data agreement says."""
    body = {
        "consent_id": consent_id or str(uuid4()),
        "recipient": recipient,
        "purpose": purpose,
        "fields": field,
        "shown": shown_today(home, recipient, purpose),
        **_signed(pin, signer, eid_level),
        **_terms(until=until, erase_at=erase_at, uses=uses, per=per),
    }
    _tell(call(home, REGISTRAR, ConsentAct.GIVE, body=body), as_json=as_json)


@app.command()
def refuse(
    pin: Number,
    consent_id: Id,
    signer: Signer = None,
    eid_level: Level = 2,
    home: Home = HOME,
    as_json: AsJson = False,
) -> None:
    """The citizen refuses a request."""
    signed = _signed(pin, signer, eid_level)
    _alter(ConsentAct.REFUSE, consent_id, signed, home=home, as_json=as_json)


@app.command()
def renew(
    pin: Number,
    consent_id: Id,
    version: Version,
    until: Annotated[datetime, typer.Option("--until", help="Its new end.")],
    signer: Signer = None,
    eid_level: Level = 2,
    home: Home = HOME,
    as_json: AsJson = False,
) -> None:
    """The citizen consents anew, to what the current data agreement says."""
    held = held_of(home, pin, consent_id)
    _alter(
        ConsentAct.RENEW,
        consent_id,
        _signed(pin, signer, eid_level),
        home=home,
        as_json=as_json,
        version=version,
        valid_until=until.astimezone().isoformat(),
        shown=shown_today(home, held["recipient"], held["purpose"]),
    )


@app.command()
def pause(
    pin: Number,
    consent_id: Id,
    version: Version,
    signer: Signer = None,
    eid_level: Level = 2,
    home: Home = HOME,
    as_json: AsJson = False,
) -> None:
    """Nothing is released on the consent until it is resumed."""
    signed = _signed(pin, signer, eid_level)
    _alter(ConsentAct.PAUSE, consent_id, signed, home=home, as_json=as_json, version=version)


@app.command()
def resume(
    pin: Number,
    consent_id: Id,
    version: Version,
    signer: Signer = None,
    eid_level: Level = 2,
    home: Home = HOME,
    as_json: AsJson = False,
) -> None:
    """A paused consent stands again."""
    signed = _signed(pin, signer, eid_level)
    _alter(ConsentAct.RESUME, consent_id, signed, home=home, as_json=as_json, version=version)


@app.command()
def withdraw(
    pin: Number,
    consent_id: Id,
    wait: Annotated[bool, typer.Option("--wait", help="Until it binds everywhere.")] = False,
    signer: Signer = None,
    eid_level: Level = 2,
    home: Home = HOME,
    as_json: AsJson = False,
) -> None:
    """The consent ends for good."""
    signed = _signed(pin, signer, eid_level)
    _alter(ConsentAct.WITHDRAW, consent_id, signed, home=home, as_json=as_json, wait=wait)


@app.command("list")
def list_(pin: Number, agency: As = REGISTRAR, home: Home = HOME, as_json: AsJson = False) -> None:
    """How a citizen's consents stand; a recipient sees its own."""
    found = call(home, agency, "list", body={"pin": pin}).document
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    Console().print(_table(found["consents"]), crop=False)


@app.command()
def receipt(
    pin: Number,
    consent_id: Id,
    agency: As = REGISTRAR,
    lang: Lang = "vi",
    home: Home = HOME,
) -> None:
    """The consent's receipt in the terms of ISO/IEC TS 27560, as JSON."""
    body = {"consent_id": consent_id, "pin": pin}
    found = call(home, agency, "receipt", body=body, language=lang).document
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


def _alter(
    act: ConsentAct,
    consent_id: str,
    signed: Mapping[str, Any],
    *,
    home: Path,
    as_json: bool,
    **members: Any,
) -> None:
    body = {"consent_id": consent_id, **signed, **members}
    _tell(call(home, REGISTRAR, act, body=body), as_json=as_json)


def _signed(pin: str, signer: str | None, eid_level: int) -> dict[str, Any]:
    return {"pin": pin, "signer": {"pin": signer or pin, "eid_level": eid_level}}


def _terms(
    *,
    until: datetime | None,
    erase_at: datetime | None,
    uses: int | None,
    per: UsePeriod | None,
) -> dict[str, Any]:
    if per is not None and uses is None:
        raise typer.BadParameter("how often in each period? Say --uses too.", param_hint="--per")
    ends = {"valid_until": until, "erase_at": erase_at}
    terms: dict[str, Any] = {
        name: end.astimezone().isoformat() for name, end in ends.items() if end is not None
    }
    return terms | ({"uses": {"count": uses, "per": per}} if uses is not None else {})


def _table(consents: Sequence[Mapping[str, Any]]) -> Table:
    """One line or more for each; its id stays whole, as other commands are given it."""
    names = [f"{one['consent_id']}@{one['version']}" for one in consents]
    table = Table(
        Column("consent", no_wrap=True, min_width=max(map(len, names), default=0)),
        Column("standing", no_wrap=True),
        *(Column(name, overflow="fold") for name in ("recipient", "purpose", "fields", "until")),
        box=None,
    )
    for name, one in zip(names, consents, strict=True):
        fields, until = str(len(one["fields"])), one["valid_until"] or ""
        table.add_row(name, one["standing"], one["recipient"], one["purpose"], fields, until)
    return table


def _tell(answer: RegistryAnswer, *, as_json: bool) -> None:
    told = answer.document
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    consent, event = told["consent"], told["event"]
    told_bus = f"told the bus at {event['partition']}@{event['offset']}" if event else ""
    if answer.status == ACCEPTED:
        told_bus = "not yet told the bus"
    typer.echo(f"{consent['consent_id']}@{consent['version']} {consent['standing']} {told_bus}")
    if "fence" in told:
        typer.echo(
            "binds everywhere" if told["fence"]["passed"] else "does not bind everywhere yet"
        )
