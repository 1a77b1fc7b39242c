"""Proofs of completeness as people ask for them: from a ledger to a file, and from a file to words.

A proof is verified before it is written, as whoever gets it will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import typer
from civicbus_schemas.errors import InvalidBytes, Refused
from civicbus_schemas.ids import agency_id
from civicbus_schemas.record import Record

from civicbus_audit import options
from civicbus_audit.asking import officer_of, parse_hex, parse_time, person_of
from civicbus_audit.completeness.asked import Asked
from civicbus_audit.completeness.filing import By
from civicbus_audit.completeness.proving import prove_complete
from civicbus_audit.completeness.verifying import Complete, verify_complete
from civicbus_audit.options import AsJson, Home, Lang, Policy, Vkey, exit_codes, write_file
from civicbus_audit.places import Places
from civicbus_audit.presenting import Language, as_json, out, pace, say, show, table
from civicbus_audit.pruning import open_log
from civicbus_audit.stored import Progress
from civicbus_audit.verify import published

_COLUMNS = ("index", "at", "recipient", "purpose", "basis", "dataset", "fields", "decision", "id")

Pins = Annotated[
    list[str] | None,
    typer.Argument(help="The person's PIN, and those he had before; - reads one from stdin."),
]
Subjects = Annotated[
    list[str] | None, typer.Option("--subject", help="A ledger pseudonym of the same person.")
]


def prove_complete_command(
    pins: Pins = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The proof's file.")],
    subject: Subjects = None,
    agency: Annotated[str | None, typer.Option(help="Or an agency that received.")] = None,
    officer: Annotated[str | None, typer.Option(help="Or its officer, with --agency.")] = None,
    since: Annotated[str | None, typer.Option(help="ISO 8601; Vietnam's time if bare.")] = None,
    until: Annotated[str | None, typer.Option()] = None,
    as_citizen: Annotated[
        bool, typer.Option(help="As the person sees it: without investigations that go on.")
    ] = False,
    home: Home = options.HOME,
    ledger: options.Ledger = None,
    vkey: Vkey = None,
    policy: Policy = None,
    vault_key: options.VaultKeyFile = None,
    vault_dsn_file: options.VaultDsnFile = None,
    json: AsJson = False,
    lang: Lang = Language.EN,
) -> None:
    """Write a proof of all decisions about a person, for an agency, or of all that an officer did.

    Index commits prove that there is nothing else; what is newer than the last of them is found by
    a re-scan. Anybody checks it offline with `verify --complete`.
    """
    with exit_codes(json=json):
        places = Places.under(home, ledger_dir=ledger, vkey_file=vkey, policy_file=policy)
        places = places.with_vault(vault_key, vault_dsn_file)
        by, texts = _asked_for(pins or (), subject or (), places, agency=agency, officer=officer)
        asked = Asked(
            by=by,
            texts=texts,
            since=parse_time(since),
            until=parse_time(until),
            as_citizen=as_citizen,
        )
        size = published(places.directory(), places.trust())[0].size
        with pace(say("examining", lang), size) as advance:
            complete = write_complete(asked, places, output, on_progress=advance)
        tell_complete(complete, json=json, lang=lang, file=output)


def write_complete(
    asked: Asked, places: Places, file: Path, *, on_progress: Progress | None = None
) -> Complete:
    """Makes a proof under the published checkpoint, verifies it, and writes it."""
    trust, directory = places.trust(), places.directory()
    checkpoint, note = published(directory, trust)
    log = open_log(directory.read, checkpoint.size)
    data = prove_complete(log, note, asked, on_progress=on_progress).encode()
    complete = verify_complete(data, trust)
    write_file(file, data)
    return complete


def tell_complete(
    complete: Complete, *, json: bool, lang: Language, file: Path | None = None
) -> None:
    """What a proof proves and what it does not, and the records themselves where it is read."""
    told = complete_document(complete)
    if json:
        records = {} if file else {"records": [vars(row) for row in _rows(complete)]}
        out.out(as_json(told | records | ({"file": str(file)} if file else {})), highlight=False)
        return
    if file is None and (rows := _rows(complete)):
        show(table(rows, _COLUMNS, lang))
    for name in complete.asked.names:
        out.out(say("complete-name", lang, by=say(f"by-{name.by}", lang), name=name.text))
    for key in _sentences(complete):
        out.out(say(key, lang, **told), highlight=False)
    if file:
        out.out(say("complete-written", lang, file=file), highlight=False)


def complete_document(complete: Complete) -> dict[str, Any]:
    """What a proof proves, and how far, as values for JSON and for sentences."""
    return {
        "holds": True,
        "origin": complete.checkpoint.origin,
        "size": complete.checkpoint.size,
        "names": [asdict(name) for name in complete.asked.names],
        "since": complete.asked.since,
        "until": complete.asked.until,
        "commits": complete.commits,
        "first": complete.first,
        "covered": complete.covered,
        "proved": len(complete.proved),
        "rescanned": len(complete.rescanned),
        "unreadable": complete.unreadable,
        "hidden": complete.hidden,
    }


def _sentences(complete: Complete) -> Sequence[str]:
    sentences = ["complete-covered" if complete.commits else "complete-uncovered"]
    sentences.append("complete-rescanned")
    if complete.first:
        sentences.append("begins-pruned")
    if complete.unreadable:
        sentences.append("complete-unreadable")
    if complete.hidden is not None:
        sentences.append("complete-hidden")
    return sentences


def _rows(complete: Complete) -> list[SimpleNamespace]:
    """What the records say; of one that cannot be read to its end, its number alone."""
    return [_row(*found) for found in sorted((*complete.proved, *complete.rescanned))]


def _row(index: int, leaf: bytes) -> SimpleNamespace:
    row = SimpleNamespace(index=index, **dict.fromkeys(_COLUMNS[1:]))
    try:
        record = Record.decode(leaf)
    except InvalidBytes:
        return row
    for column in _COLUMNS[1:]:
        setattr(row, column, getattr(record, column))
    return row


def _asked_for(
    pins: Sequence[str],
    subjects: Sequence[str],
    places: Places,
    *,
    agency: str | None,
    officer: str | None,
) -> tuple[By, tuple[str, ...]]:
    """What is asked for, in one of three ways, and under which names."""
    texts: set[str] = {person_of(pin, places).pseudonym for pin in pins}
    texts |= {text for one in subjects if (text := parse_hex(one, "a pseudonym"))}
    if texts and (agency or officer):
        raise Refused("one thing is proved at a time", expected="a person, or --agency")
    if texts:
        return By.SUBJECT, tuple(sorted(texts))
    if name := officer_of(officer, agency, places):
        return By.OFFICER, (name,)
    if agency is None:
        raise Refused("nobody is asked for", expected="a PIN, --subject or --agency")
    return By.RECIPIENT, (agency_id(agency),)
