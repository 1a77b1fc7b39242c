"""`civicbus agreement approve | suspend | resume | revoke`: what officers do to agreements."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.statement import Role, Word, check_reason

from civicbus_deploy.agreements import acting
from civicbus_deploy.agreements.options import AsJson, Home, Nation, print_json
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.provisioning.app import Site
from civicbus_deploy.provisioning.binding import missing
from civicbus_deploy.provisioning.nation import load_nation
from civicbus_deploy.provisioning.officers import read_statements

As = Annotated[Role, typer.Option("--as", help="The party of the agreement that signs.")]
Key = Annotated[
    Path | None,
    typer.Option(help="The officer's key (Ed25519, PEM); else the one that this stack keeps."),
]


def _one_line(reason: str) -> str:
    try:
        check_reason(reason)
    except InvalidAgreement as error:
        raise typer.BadParameter(str(error)) from None
    return reason


Reason = Annotated[
    str, typer.Option(help="One line, which the announcement carries.", callback=_one_line)
]
_HELP = {
    Word.SUSPEND: "Stop an agreement everywhere, until the same party resumes it.",
    Word.RESUME: "Take back a suspension of the same party.",
    Word.REVOKE: "End a version of an agreement for good.",
}


def approve(
    agreements: Annotated[list[str], typer.Argument(help="Ids, or <id>@<version>.")],
    *,
    role: As,
    key: Key = None,
    nation: Nation = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Sign drafts for one of their parties; what both approved binds with `civicbus provision`."""
    site, loaded = Site.open(StateFolder.at(home).home), load_nation(nation)
    signed = acting.approve(site.folder, loaded, agreements, role=role, key=key)
    known = read_statements(site.folder)
    waiting = {
        str(s.agreement): missing(acting.find(loaded.policy, str(s.agreement)), known)
        for s in signed
    }
    if as_json:
        print_json({"statements": [s.document() for s in signed], "missing": waiting})
        return
    for statement in signed:
        rest = " and ".join(waiting[str(statement.agreement)])
        told = f"it waits for {rest}" if rest else "by both now; next: civicbus provision"
        typer.echo(f"{statement.agreement} approved by {statement.party}: {told}")


def act_on(
    word: Word,
    agreement: str,
    role: Role,
    *,
    reason: str,
    key: Path | None,
    home: Path | None,
    wait_s: float | None,
    as_json: bool,
) -> None:
    """Say one word about an agreement in force, and tell what it came to."""
    site = Site.open(StateFolder.at(home).home)
    acted = acting.act(site, agreement, word, role=role, key=key, reason=reason, wait_s=wait_s)
    ref = acted.statement.agreement
    if as_json:
        fence = {"offset": acted.offset, "fence_s": acted.fence_s}
        print_json({"agreement": str(ref), "standing": acted.standing, **fence})
        return
    typer.echo(f"{ref} is {acted.standing}, announced at offset {acted.offset}")
    if acted.fence_s is not None:
        typer.echo(f"it binds in every group and look-up instance, after {acted.fence_s:.2f} s")


def mount(app: typer.Typer) -> None:
    """Add the officers' verbs to `civicbus agreement`."""
    app.command()(approve)
    for word in _HELP:
        app.command(word.value, help=_HELP[word])(_verb(word))


def _verb(word: Word) -> Callable[..., None]:
    def command(
        agreement: Annotated[str, typer.Argument(help="An id, or <id>@<version>.")],
        *,
        role: As,
        reason: Reason,
        key: Key = None,
        home: Home = None,
        wait: Annotated[bool, typer.Option(help="Wait until it binds everywhere.")] = True,
        timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = acting.FENCE_S,
        as_json: AsJson = False,
    ) -> None:
        wait_s = timeout if wait else None
        act_on(
            word, agreement, role, reason=reason, key=key, home=home, wait_s=wait_s, as_json=as_json
        )

    return command
