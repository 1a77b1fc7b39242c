"""The commands that stand on the index. What needs the extra `ledger` is imported when they run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from civicbus_schemas.ids import agency_id
from civicbus_schemas.vocabulary import Outcome

from civicbus_audit import options
from civicbus_audit.asking import (
    UnknownSubject,
    officer_of,
    parse_hex,
    parse_time,
    person_of,
)
from civicbus_audit.completeness.asked import Asked
from civicbus_audit.completeness.filing import By
from civicbus_audit.completing import complete_document, tell_complete, write_complete
from civicbus_audit.options import AsJson, Home, Lang, exit_codes, needs_index
from civicbus_audit.places import Places
from civicbus_audit.presenting import (
    LOCAL_TIME,
    Language,
    as_json,
    out,
    pace,
    say,
    show,
    table,
)
from civicbus_audit.pruning_command import beginning, tell_beginning
from civicbus_audit.stored import StoredLog

if TYPE_CHECKING:
    from civicbus_audit.completeness.verifying import Complete
    from civicbus_audit.index.oversight import CitizenView
    from civicbus_audit.index.searching import Entry
    from civicbus_audit.query import Query

_COLUMNS = (
    "index", "at", "recipient", "dataset", "purpose", "decision", "reason", "rule", "release", "id",
)  # fmt: skip
_READING = ("at", "recipient", "purpose", "basis", "dataset", "fields", "release", "id")

Words = Annotated[str | None, typer.Option()]
PinText = Annotated[str | None, typer.Option(help="The person's PIN; - reads it from stdin.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")]


def search(
    *,
    pin: PinText = None,
    subject: Annotated[str | None, typer.Option(help="The person's ledger pseudonym.")] = None,
    agency: Annotated[str | None, typer.Option(help="Who received, or was refused.")] = None,
    officer: Annotated[str | None, typer.Option(help="An officer's id, with --agency.")] = None,
    purpose: Words = None,
    basis: Words = None,
    decision: Annotated[Outcome | None, typer.Option()] = None,
    reason: Words = None,
    rule: Annotated[str | None, typer.Option(help="The national rule that forbade it.")] = None,
    agreement: Annotated[str | None, typer.Option(help="<id>@<version>.")] = None,
    event_type: Words = None,
    event_id: Words = None,
    case_id: Annotated[str | None, typer.Option(help="The record's opaque case id.")] = None,
    kind: Annotated[str | None, typer.Option(help="access.decision, page, index.commit, …")] = None,
    since: Annotated[str | None, typer.Option(help="ISO 8601; Vietnam's time if bare.")] = None,
    until: Words = None,
    before: Annotated[int | None, typer.Option(help="Only leaves before this number.")] = None,
    limit: Limit = 50,
    home: Home = options.HOME,
    ledger: options.Ledger = None,
    vkey: options.Vkey = None,
    dsn_file: options.DsnFile = None,
    vault_key: options.VaultKeyFile = None,
    vault_dsn_file: options.VaultDsnFile = None,
    json: AsJson = False,
    lang: Lang = Language.EN,
) -> None:
    """Find leaves, newest first; each is compared with the ledger before it is shown."""
    with exit_codes(json=json), needs_index():
        from civicbus_audit.query import Query

        places = Places.under(home, ledger_dir=ledger, vkey_file=vkey, dsn_file=dsn_file)
        places = places.with_vault(vault_key, vault_dsn_file)
        query = Query(purpose=purpose, basis=basis, decision=decision, reason=reason)
        query = replace(query, rule=rule)
        query = replace(query, agreement=agreement, dataset=event_type, event_id=event_id)
        query = replace(query, kind=kind, since=parse_time(since), until=parse_time(until))
        query = replace(query, case_id=parse_hex(case_id, "case id"), before=before, limit=limit)
        query = replace(
            query,
            subject=person_of(pin, places).pseudonym if pin else parse_hex(subject, "pseudonym"),
            recipient=agency_id(agency) if agency else None,
            officer=officer_of(officer, agency, places),
        )
        found = _search(query, places)
        _show(found, _COLUMNS, json=json, lang=lang)
        if not json and len(found) == limit:
            out.out(say("more", lang, before=str(found[-1].index)), highlight=False)


def who_read(
    pin: Annotated[str, typer.Argument(help="The person's PIN; - reads it from stdin.")],
    *,
    denied: Annotated[bool, typer.Option(help="Refused attempts too.")] = False,
    as_citizen: Annotated[
        bool, typer.Option(help="As the person sees it: without investigations that go on.")
    ] = False,
    recount: Annotated[
        bool, typer.Option(help="Read all bundles, so that the index can hide nothing.")
    ] = False,
    complete: Annotated[
        Path | None, typer.Option(help="The same with a proof of completeness in this file.")
    ] = None,
    home: Home = options.HOME,
    ledger: options.Ledger = None,
    vkey: options.Vkey = None,
    dsn_file: options.DsnFile = None,
    vault_key: options.VaultKeyFile = None,
    vault_dsn_file: options.VaultDsnFile = None,
    json: AsJson = False,
    lang: Lang = Language.EN,
) -> None:
    """Tell who got which data about a person, why, and on what ground: all of it."""
    with exit_codes(json=json), needs_index():
        from civicbus_audit.index.oversight import citizen_view, closed_cases, find_all
        from civicbus_audit.query import Query

        places = Places.under(home, ledger_dir=ledger, vkey_file=vkey, dsn_file=dsn_file)
        places = places.with_vault(vault_key, vault_dsn_file)
        try:
            known = person_of(pin, places)
        except UnknownSubject:
            if recount or complete:
                raise
            _show_nobody(json=json, as_citizen=as_citizen, lang=lang)
            return
        query = Query(subject=known.pseudonym, decided=True, disclosed=not denied)
        find = partial(_search, places=places)
        indexed = _indexed(places)  # before the search: what is below is found, or hidden
        found = find_all(query, find)
        hold = partial(_hold, found, query, places, indexed=indexed, as_citizen=as_citizen)
        held = hold(recount=recount, file=complete)
        columns = (*_READING[:6], "decision", "reason", *_READING[6:]) if denied else _READING
        view = citizen_view(found, closed_cases(find)) if as_citizen else None
        log = places.log()
        if json:
            out.out(as_json(_document(found, view, held, log=log)), highlight=False)
            return
        if view:
            _show_citizen(view, columns, lang=lang)
        else:
            _show(found, columns, json=False, lang=lang)
        since = known.since.astimezone(LOCAL_TIME)
        out.out(say("known-since", lang, since=since), highlight=False)
        tell_beginning(log, lang)
        if held:
            _show_held(held, lang=lang)


def rebuild_index(
    *,
    home: Home = options.HOME,
    ledger: options.Ledger = None,
    vkey: options.Vkey = None,
    dsn_file: options.DsnFile = None,
    json: AsJson = False,
    lang: Lang = Language.EN,
) -> None:
    """Build the index anew from the ledger's bundles, and put it in the old one's place."""
    with exit_codes(json=json), needs_index():
        from civicbus_audit.index.filling import rebuild

        places = Places.under(home, ledger_dir=ledger, vkey_file=vkey, dsn_file=dsn_file)
        log = places.log()
        with pace(say("indexing", lang), log.size) as advance:
            leaves = rebuild(places.dsn_file, log, on_progress=advance)
        told = {"leaves": leaves}
        out.out(as_json(told) if json else say("rebuilt", lang, **told), highlight=False)


commands = (search, who_read, rebuild_index)


def _search(query: Query, places: Places) -> list[Entry]:
    from civicbus_audit.index.database import make_engine
    from civicbus_audit.index.searching import confirm, search

    engine = make_engine(places.dsn_file)
    try:
        found = search(engine, query)
    finally:
        engine.dispose()
    # after the search: the index is filled from what is published, so that it is never ahead
    confirm(found, places.log())
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What the index told, held against the ledger: what is not indexed yet, and the proof."""

    indexed: int
    later: frozenset[int]
    proof: Complete | None
    file: Path | None


def _indexed(places: Places) -> int:
    from civicbus_audit.index.database import make_engine
    from civicbus_audit.index.filling import indexed_size

    engine = make_engine(places.dsn_file)
    try:
        return indexed_size(engine)
    finally:
        engine.dispose()


def _hold(
    found: list[Entry],
    query: Query,
    places: Places,
    *,
    indexed: int,
    recount: bool,
    file: Path | None,
    as_citizen: bool,
) -> _Held | None:
    """Holds what was found against the bundles, and against the proof, which is written."""
    from civicbus_audit.index.searching import confirm_all, confirm_complete

    if query.subject is None or not (recount or file):
        return None
    later, proof = frozenset[int](), None
    if recount:
        later |= confirm_complete(found, query, places.log(), indexed=indexed)
    if file:
        asked = Asked(by=By.SUBJECT, texts=(query.subject,), as_citizen=as_citizen)
        proof = write_complete(asked, places, file)
        leaves = [*proof.proved, *proof.rescanned]
        later |= confirm_all(found, query, leaves, indexed=indexed)
    return _Held(indexed=indexed, later=later, proof=proof, file=file)


def _show_held(held: _Held, *, lang: Language) -> None:
    if held.later:
        told = say("not-indexed", lang, count=len(held.later), indexed=held.indexed)
        out.out(told, highlight=False)
    if held.proof:
        tell_complete(held.proof, json=False, lang=lang, file=held.file)


def _document(
    found: list[Entry], view: CitizenView | None, held: _Held | None, *, log: StoredLog
) -> object:
    """The readings as JSON: a list, or an object where there is more to tell."""
    if view is None and held is None and not log.first:
        return found
    told: dict[str, object] = {"readings": found if view is None else view.shown}
    told |= beginning(log)
    if view is not None:
        told["hidden"] = view.hidden
    if held is not None:
        told["not_indexed"] = len(held.later)
        if held.proof is not None:
            told["proof"] = complete_document(held.proof) | {"file": str(held.file)}
    return told


def _show(found: list[Entry], columns: tuple[str, ...], *, json: bool, lang: Language) -> None:
    if json:
        out.out(as_json(found), highlight=False)
    elif found:
        show(table(found, columns, lang))
    else:
        out.out(say("none-found", lang), highlight=False)


def _show_nobody(*, json: bool, as_citizen: bool, lang: Language) -> None:
    """Of a person whom the vault does not know there is nothing, or nothing any more."""
    empty: object = {"readings": [], "hidden": 0} if as_citizen else []
    out.out(as_json(empty) if json else say("unknown-person", lang), highlight=False)


def _show_citizen(view: CitizenView, columns: tuple[str, ...], *, lang: Language) -> None:
    """The readings, and how many are not shown yet: hidden, but never uncounted."""
    _show(list(view.shown), columns, json=False, lang=lang)
    if view.hidden:
        out.out(say("hidden", lang, count=view.hidden), highlight=False)
