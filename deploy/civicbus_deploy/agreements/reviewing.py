"""`civicbus agreement lint | list | diff`: what a reviewer asks before anything binds.

`list` without `--nation` and `diff` without `--from` ask the bus what is announced.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer
from civicbus_schemas.agreement import Agreement, local_day
from civicbus_schemas.policy import PolicySet
from civicbus_schemas.statement import Standing
from rich.table import Column, Table

from civicbus_deploy.agreements.changes import Change, changes, sights
from civicbus_deploy.agreements.options import AsJson, Home, Nation, print_json
from civicbus_deploy.agreements.sets import announced
from civicbus_deploy.embedded.screen import paper
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.provisioning.binding import with_statements
from civicbus_deploy.provisioning.nation import load_nation
from civicbus_deploy.provisioning.officers import read_statements

_LISTED = ("agreement", "provider", "recipient", "purpose", "basis", "until", "state")


def lint(nation: Nation = None, as_json: AsJson = False) -> None:
    """Say whether a nation's files are sound: agreements, rules, vocabularies, contracts.

    The policy's hash is of the files alone. What is announced holds the approvals too, and no
    drafts, so that its hash is another.
    """
    policy = load_nation(nation).policy
    counts = {
        "policy": policy.version,
        "signed": False,
        "agreements": len(policy.agreements),
        "rules": len(policy.rules),
        "contracts": len(policy.contracts),
    }
    if as_json:
        print_json(counts)
    else:
        typer.echo(
            f"sound: {counts['agreements']} agreements under {counts['rules']} files of rules,"
            f" {counts['contracts']} contracts; policy {policy.version} as the files have it;"
            " with its approvals it will be announced under another hash"
        )


def list_agreements(
    *,
    nation: Nation = None,
    on: Annotated[
        datetime | None, typer.Option(help="A day; today by default.", formats=["%Y-%m-%d"])
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Every announced agreement, or every one of a nation's files, and what it is on a day."""
    if nation is None:
        policy = announced(home)
    else:  # by what officers have signed here
        policy = with_statements(load_nation(nation), read_statements(StateFolder.at(home)))
    day = local_day(datetime.now(UTC)) if on is None else on.date()
    rows = [
        {
            "agreement": str(agreement.ref),
            "provider": agreement.provider,
            "recipient": agreement.recipient,
            "purpose": agreement.purpose,
            "basis": agreement.basis,
            "from": str(agreement.valid_from),
            "until": str(agreement.valid_until),
            "state": _state(agreement, day),
        }
        for agreement in sorted(policy.agreements, key=lambda a: (a.recipient, a.ref.id))
    ]
    if as_json:
        print_json({"on": str(day), "agreements": rows})
        return
    table = Table(*map(_folded, _LISTED), title=f"on {day}", box=None, title_justify="left")
    for row in rows:
        table.add_row(*(row[name] for name in _LISTED))
    paper().print(table)


def diff(
    *,
    nation: Annotated[
        str | None,
        typer.Option(help="The new nation's folder, or a packaged one's name.", metavar="DIR"),
    ] = None,
    former: Annotated[
        str | None,
        typer.Option("--from", help="The former nation's folder, else what is announced."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Who newly sees which field about whom, who no longer does, and whose terms or days change.

    A later version beside the one in force goes on from it: a field is told where its terms become
    others, or (`days`) its days alone.
    """
    after = load_nation(nation).policy
    before = announced(home) if former is None else load_nation(former).policy
    found = changes(sights(before), sights(after))
    if as_json:
        entries = [{"kind": c.kind, **asdict(c.sight), **_terms(c)} for c in found]
        sets = {"from": _named(before, is_announced=former is None), "to": _named(after)}
        print_json({**sets, "changes": entries})
        return
    if not found:
        typer.echo("nobody sees anything else than before")
        return
    table = Table(*map(_folded, ("", "recipient", "way", "field", "about", "terms")), box=None)
    for change in found:
        sight, terms = change.sight, _terms(change)
        told = " → ".join(filter(None, [terms["before"], terms["after"]]))
        field = f"{sight.dataset}:{sight.path}"
        whole = f"{sight.purpose}: {told}"
        table.add_row(change.kind, sight.recipient, sight.way, field, sight.about, whole)
    paper().print(table)


def _named(policy: PolicySet, *, is_announced: bool = False) -> dict[str, Any]:
    """A set by its hash; that of the files alone differs from that with approvals."""
    return {"policy": policy.version, "signed": is_announced}


def _folded(heading: str) -> Column:
    """A column that breaks its words where room is scarce, but for what one searches by."""
    return Column(heading, overflow="fold", no_wrap=heading in {"agreement", "until", "state"})


def _state(agreement: Agreement, day: date) -> str:
    if agreement.standing is not Standing.APPROVED:
        return agreement.standing
    if day < agreement.valid_from:
        return "not yet in force"
    return "in force" if day <= agreement.valid_until else "expired"


def _terms(change: Change) -> dict[str, str]:
    sides = {"before": change.before, "after": change.after}
    return {side: "; ".join(map(str, terms)) for side, terms in sides.items()}
