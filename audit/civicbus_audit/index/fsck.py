"""`civicbus-audit fsck`: what lies on disk and in the database, held against each other.

What is derived (hash tiles, index) can be repaired; what is evidence (entries, checkpoint) never.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer
from civicbus_schemas.errors import EvidenceBroken, InvalidBytes

from civicbus_audit import options
from civicbus_audit.crew import crew_of
from civicbus_audit.options import AsJson, Home, Lang, Policy, Vkey, exit_codes, needs_index
from civicbus_audit.places import Places
from civicbus_audit.presenting import Language, as_json, out, pace, say, show, table
from civicbus_audit.pruning_command import beginning, tell_beginning
from civicbus_audit.restoring import repair_tiles
from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import verify_ledger

if TYPE_CHECKING:
    from civicbus_audit.index.examining import Fault

SHOWN, ENOUGH = 20, 1_000  # contradictions that are shown, and that are looked for


def fsck(
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make tiles and index anew where they are wrong.")
    ] = False,
    home: Home = options.HOME,
    ledger: options.Ledger = None,
    vkey: Vkey = None,
    policy: Policy = None,
    dsn_file: options.DsnFile = None,
    json: AsJson = False,
    lang: Lang = Language.EN,
) -> None:
    """Hold entries, tiles, checkpoint and index against each other; repair what is derived."""
    with exit_codes(json=json):
        places = Places.under(
            home, ledger_dir=ledger, vkey_file=vkey, policy_file=policy, dsn_file=dsn_file
        )
        tiles = _check_ledger(places, repair=repair, lang=lang)
        found = _check_index(places, lang=lang)
        if found and repair:
            _rebuild_index(places, lang=lang)
            if _check_index(places, lang=lang):
                raise EvidenceBroken("the index was made anew and contradicts the ledger again",
                                     next_step="look at who writes to it")  # fmt: skip
        log = places.log()
        _tell(found, tiles, repaired=repair, log=log, json=json, lang=lang)
        if found and not repair:
            raise typer.Exit(options.EVIDENCE_BROKEN)


def _check_ledger(places: Places, *, repair: bool, lang: Language) -> list[str]:
    """Raises `EvidenceBroken` for what stays broken; the paths of the tiles that were repaired."""
    try:
        _verify(places, lang=lang)
        return []
    except (EvidenceBroken, InvalidBytes):
        if not repair:
            raise
    with pace(say("repairing", lang), places.log().size) as advance:
        repaired = repair_tiles(places.ledger_dir, trust=places.trust(), on_progress=advance)
    _verify(places, lang=lang)
    return repaired


def _verify(places: Places, *, lang: Language) -> None:
    size = places.log().size
    with crew_of(None) as crew, pace(say("verifying", lang), 2 * size) as advance:
        verify_ledger(places.directory(), places.trust(), on_progress=advance, crew=crew)


def _check_index(places: Places, *, lang: Language) -> list[Fault]:
    with needs_index():
        from civicbus_audit.index.database import make_engine
        from civicbus_audit.index.examining import examine_index

        engine = make_engine(places.dsn_file)
        try:
            with pace(say("examining", lang), places.log().size) as advance:
                found = examine_index(engine, places.log, on_progress=advance)
                return list(islice(found, ENOUGH))
        finally:
            engine.dispose()


def _rebuild_index(places: Places, *, lang: Language) -> None:
    with needs_index():
        from civicbus_audit.index.filling import rebuild

        log = places.log()
        with pace(say("indexing", lang), log.size) as advance:
            rebuild(places.dsn_file, log, on_progress=advance)


def _tell(
    found: list[Fault],
    tiles: list[str],
    *,
    repaired: bool,
    log: StoredLog,
    json: bool,
    lang: Language,
) -> None:
    if json:
        told = {
            "holds": repaired or not found,
            "faults": found,
            "repaired_tiles": tiles,
            "rebuilt_index": repaired and bool(found),
        }
        out.out(as_json(told | beginning(log)), highlight=False)
        return
    if found:
        show(table(found[:SHOWN], ("kind", "leaf", "columns"), lang))
    key = "fsck-repaired" if repaired else "fsck-found"
    out.out(say(key, lang, faults=len(found), tiles=len(tiles)), highlight=False)
    tell_beginning(log, lang)
