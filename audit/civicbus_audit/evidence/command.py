"""`civicbus audit export`: a bundle from the ledger's own folder, once the export is on record.

This package knows no broker, so whoever mounts the command brings what records it, as the context's
object (`Recording`). Without it nothing is exported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Protocol

import typer
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import agency_id
from civicbus_schemas.vocabulary import Outcome

from civicbus_audit import options
from civicbus_audit.asking import officer_of, parse_hex, parse_time, person_of
from civicbus_audit.crew import crew_of
from civicbus_audit.evidence.completeness import document
from civicbus_audit.evidence.export import Source, export, passes
from civicbus_audit.evidence.request import Request
from civicbus_audit.note import Signer
from civicbus_audit.options import AsJson, Home, Lang, Policy, Vkey, exit_codes
from civicbus_audit.places import Places
from civicbus_audit.presenting import Language, as_json, err, out, pace, say
from civicbus_audit.query import Query
from civicbus_audit.verify import published
from civicbus_audit.witness.keys import read_key

KEY = "secrets/export-key.pem"


class Recording(Protocol):
    """Records an export before a leaf is read for it."""

    def __call__(self, request: Request, home: Path) -> str:
        """The id of its durable record; raises `BusError` where there is none."""
        ...


Words = Annotated[str | None, typer.Option()]


def export_records(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(help="The bundle to write: x.zip, or a folder.")],
    *,
    by: Annotated[str, typer.Option(help="Who exports: <agency>/<officer>.")],
    why: Annotated[str, typer.Option(help="The purpose of this export, in words.")],
    since: Annotated[str, typer.Option(help="ISO 8601; Vietnam's time if bare.")],
    until: Annotated[str, typer.Option(help="At most a year later.")],
    case: Annotated[str | None, typer.Option(help="The exporter's own case number.")] = None,
    pin: Annotated[str | None, typer.Option(help="The person's PIN; - is stdin.")] = None,
    subject: Annotated[str | None, typer.Option(help="The person's ledger pseudonym.")] = None,
    agency: Annotated[str | None, typer.Option(help="Who received, or whose officer.")] = None,
    officer: Annotated[str | None, typer.Option(help="An officer's id, with --agency.")] = None,
    purpose: Words = None,
    basis: Words = None,
    decision: Annotated[Outcome | None, typer.Option()] = None,
    reason: Words = None,
    rule: Words = None,
    agreement: Words = None,
    event_type: Words = None,
    event_id: Words = None,
    case_id: Annotated[str | None, typer.Option(help="The record's opaque case id.")] = None,
    kind: Words = None,
    key: Annotated[Path | None, typer.Option(help=f"The key, if not HOME/{KEY}.")] = None,
    home: Home = options.HOME,
    ledger: options.Ledger = None,
    vkey: Vkey = None,
    policy: Policy = None,
    vault_key: options.VaultKeyFile = None,
    vault_dsn_file: options.VaultDsnFile = None,
    processes: options.Processes = None,
    json: AsJson = False,
    lang: Lang = Language.EN,
) -> None:
    """Write an evidence bundle: matching records, proved and signed, verifiable without us."""
    with exit_codes(json=json):
        places = Places.under(home, ledger_dir=ledger, vkey_file=vkey, policy_file=policy)
        places = places.with_vault(vault_key, vault_dsn_file)
        query = Query(purpose=purpose, basis=basis, decision=decision, reason=reason, rule=rule)
        query = replace(query, agreement=agreement, dataset=event_type, event_id=event_id)
        query = replace(
            query,
            kind=kind,
            since=parse_time(since),
            until=parse_time(until),
            subject=person_of(pin, places).pseudonym if pin else parse_hex(subject, "pseudonym"),
            recipient=agency_id(agency) if agency and not officer else None,
            officer=officer_of(officer, agency, places),
            case_id=parse_hex(case_id, "case id"),
        )
        _export(
            _request(query, by, why=why, case=case),
            places,
            target,
            key=key or home / KEY,
            record=_recording(context, home),
            processes=processes,
            json=json,
            lang=lang,
        )


def _request(query: Query, by: str, *, why: str, case: str | None) -> Request:
    agency, _, officer = by.partition("/")
    return Request(query=query, agency=agency_id(agency), officer=officer, purpose=why, case=case)


def _recording(context: typer.Context, home: Path) -> Callable[[Request], str]:
    recording: Recording | None = context.obj
    if recording is None:
        raise Refused(
            "nothing records an export here",
            expected="a leaf before the first record is read",
            next_step="civicbus audit export, or civicbus officers export",
        )
    return lambda request: recording(request, home)


def _export(
    request: Request,
    places: Places,
    target: Path,
    *,
    key: Path,
    record: Callable[[Request], str],
    processes: int | None,
    json: bool,
    lang: Language,
) -> None:
    source = Source(directory=places.directory(), trust=places.trust())
    origin = published(source.directory, source.trust)[0]
    signer = Signer(f"{origin.origin}/exporter", read_key(key))

    def begin(request: Request) -> None:
        told = {
            "officer": f"{request.agency}/{request.officer}",
            "purpose": request.purpose,
            "record": record(request),
        }
        err.print(say("export-begins", lang, **told), markup=False, highlight=False)

    with (
        crew_of(processes) as crew,
        pace(say("exporting", lang), passes(request.query) * origin.size) as advance,
    ):
        exported = export(
            request,
            source,
            target,
            signer=signer,
            at=datetime.now(UTC),
            before_reading=begin,
            on_progress=advance,
            crew=crew,
        )
    told = {
        "file": str(target),
        "records": exported.records,
        "size": exported.checkpoint.size,
        "unreadable": exported.unreadable,
    }
    complete = document(exported.completeness)
    if json:
        out.out(as_json(told | {"completeness": complete}), highlight=False)
        return
    out.out(say("exported", lang, **told), highlight=False)
    out.out(complete[lang], highlight=False)
