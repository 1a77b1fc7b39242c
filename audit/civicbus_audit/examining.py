"""Whether the fences of withdrawals held, as people ask for it: a ledger examined, and told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from civicbus_audit import options
from civicbus_audit.fences import Examination, examine, read_withdrawals
from civicbus_audit.options import AsJson, Home, Lang, Policy, Vkey, exit_codes, read_file
from civicbus_audit.places import Places
from civicbus_audit.presenting import Language, as_json, out, pace, say, show, table
from civicbus_audit.stored import Progress, StoredLog


def fences(
    *,
    withdrawals: Annotated[
        Path | None,
        typer.Option(help='JSON: [{"consent": id, "partition": n, "position": n}, …].'),
    ] = None,
    home: Home = options.HOME,
    ledger: options.Ledger = None,
    vkey: Vkey = None,
    policy: Policy = None,
    json: AsJson = False,
    lang: Lang = Language.EN,
) -> None:
    """Check that nothing was permitted on a consent behind its withdrawal; `verify` comes first."""
    with exit_codes(json=json):
        places = Places.under(home, ledger_dir=ledger, vkey_file=vkey, policy_file=policy)
        known = read_withdrawals(read_file(withdrawals)) if withdrawals else ()
        log = places.log()
        with pace(say("examining", lang), log.size) as advance:
            found = examine(_counted(log, advance), known)
        _tell_fences(found, first=log.first, json=json, lang=lang)
        if found.breaches:
            raise typer.Exit(options.EVIDENCE_BROKEN)


def _counted(log: StoredLog, advance: Progress) -> Iterator[tuple[int, bytes]]:
    for index, leaf in log.leaves():
        yield index, leaf
        advance(index + 1)


def _tell_fences(found: Examination, *, first: int, json: bool, lang: Language) -> None:
    told = {"pages": found.pages, "permits": found.permits, "withdrawn": found.withdrawn}
    told |= {"first": first}
    if json:
        holds = {"holds": not found.breaches, **told, "breaches": found.breaches}
        out.out(as_json(holds), highlight=False)
        return
    out.out(say("fences-looked-at", lang, **told), highlight=False)
    if first:
        out.out(say("fences-pruned", lang, **told), highlight=False)
    if found.breaches:
        show(table(found.breaches, ("leaf", "rule", "recorder", "sequence", "about"), lang))
    else:
        out.out(say("fences-hold", lang), highlight=False)
