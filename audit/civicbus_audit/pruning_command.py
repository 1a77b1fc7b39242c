"""Pruning as people ask for it: what a leaf of two officials said is deleted, and told."""

from __future__ import annotations

from typing import Any

from civicbus_audit import options
from civicbus_audit.discarding import prune as prune_ledger
from civicbus_audit.options import AsJson, Home, Lang, Policy, Vkey, exit_codes
from civicbus_audit.places import Places
from civicbus_audit.presenting import LOCAL_TIME, Language, as_json, out, pace, say
from civicbus_audit.pruning import Pruning
from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import published


def prune(
    *,
    home: Home = options.HOME,
    ledger: options.Ledger = None,
    vkey: Vkey = None,
    policy: Policy = None,
    json: AsJson = False,
    lang: Lang = Language.EN,
) -> None:
    """Delete the entries and sealed parts that two officials ordered to prune; verifies first.

    The order is a leaf that is published (`civicbus order`). Goes on where a run was cut off.
    """
    with exit_codes(json=json):
        places = Places.under(home, ledger_dir=ledger, vkey_file=vkey, policy_file=policy)
        trust = places.trust()
        size = published(places.directory(), trust)[0].size
        with pace(say("verifying", lang), 2 * size) as advance:
            pruning, deleted = prune_ledger(places.ledger_dir, trust=trust, on_progress=advance)
        if json:
            out.out(as_json({**pruned_document(pruning), "deleted": deleted}), highlight=False)
            return
        tell_pruning(pruning, lang)
        out.out(say("pruned-files", lang, deleted=deleted), highlight=False)


def pruned_document(pruning: Pruning) -> dict[str, Any]:
    """What is pruned, and by which leaf."""
    return {
        "minimum": pruning.minimum,
        "first": pruning.first,
        "leaf": pruning.leaf,
        "at": pruning.at,
        "rule": pruning.rule,
    }


def tell_pruning(pruning: Pruning, lang: Language) -> None:
    """The same in a sentence."""
    told = pruned_document(pruning) | {
        "last": pruning.minimum - 1,
        "at": pruning.at.astimezone(LOCAL_TIME),
    }
    out.out(say("pruned", lang, **told), highlight=False)


def beginning(log: StoredLog) -> dict[str, int]:
    """For a JSON object: the first leaf that a pruned ledger has; nothing of a whole one."""
    return {"pruned": log.first} if log.first else {}


def tell_beginning(log: StoredLog, lang: Language = Language.EN) -> None:
    """The same in a sentence."""
    if log.first:
        out.out(say("begins-pruned", lang, first=log.first), highlight=False)
