"""`civicbus audit`: the commands of the ledger, with a recorder for what they export.

Whoever runs it says who exports and is not asked for a token: the ledger's folder is his. The leaf
says so (`operator`).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import typer
from civicbus_audit.cli import app as ledger
from civicbus_audit.command_line import CommandLine
from civicbus_audit.evidence.request import Request
from civicbus_consumers.recording.pages import Stamp
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.pseudonym import LedgerPseudonym
from civicbus_schemas.record import Record
from civicbus_schemas.record import Request as Caused
from civicbus_schemas.subject import Secret, case
from civicbus_schemas.vocabulary import Outcome, RecordKind

from civicbus_deploy.oversight.acting import Officer, open_vault, record_act
from civicbus_deploy.provisioning.app import Site

ROLE = "operator"

app = CommandLine(
    help="Find, prove and verify what the ledger tells.",
    no_args_is_help=True,
)
app.registered_commands = ledger.registered_commands
app.registered_groups = ledger.registered_groups


@app.callback()
def begin(context: typer.Context) -> None:
    """Find, prove and verify what the ledger tells."""
    context.obj = record_export


def record_export(request: Request, home: Path) -> str:
    """Record an export, durably, before a leaf is read for it; its record's id."""
    site = Site.open(home)
    by = Officer(agency=request.agency, name=request.officer)
    matter = None if request.case is None else case(by.agency, request.case)
    with closing(open_vault(site)) as vault:
        secrets = vault.get_or_create([by.subject, *([matter] if matter else [])])
        subject = request.query.subject
        known = vault.named([LedgerPseudonym(subject)] if subject else [])
    # one who was erased is named in the sealed part alone
    about = next(iter(known.values()), None)
    secret = canonical_json({"export": request.document()})
    exporter = secrets[by.subject]
    matter_secret = None if matter is None else secrets[matter]
    under = about or matter_secret or exporter

    def make(stamp: Stamp) -> Record:
        return _record(
            request, by, exporter, about=about, matter=matter_secret, secret=secret, stamp=stamp
        )

    return record_act(site, by, make, secret=secret, under=under)


def _record(
    request: Request,
    by: Officer,
    exporter: Secret,
    *,
    about: Secret | None,
    matter: Secret | None,
    secret: bytes,
    stamp: Stamp,
) -> Record:
    return Record(
        **stamp.marks(secret),
        kind=RecordKind.OFFICER_EXPORT,
        actor=replace(by.actor(exporter), role=ROLE),
        recipient=by.agency,
        subject=None if about is None else about.pseudonym,
        fields=tuple(sorted(request.document()["query"])),
        decision=Outcome.PERMIT,
        req=Caused(case=None if matter is None else matter.pseudonym),
    )
