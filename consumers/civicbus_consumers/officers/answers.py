"""An answer as JSON: receipt, the range that was looked at, rows with their proofs. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from civicbus_audit.index.searching import Entry

from civicbus_consumers.officers.desk import Answer

ProofOf = Callable[[Entry], str]
"""Where the proof of a row is."""

_SHOWN = (
    *("id", "kind", "recipient", "actor", "system", "officer", "subject", "agreement", "dataset"),
    *("purpose", "basis", "consent", "decision", "reason", "rule", "case_id", "release"),
)


def answer_document(
    answer: Answer, *, proof_of: ProofOf, cursor: str | None, complete: str | None
) -> dict[str, Any]:
    """The whole answer. `hidden` is there for a citizen only, `complete` where it can be proved."""
    find = answer.find
    return {
        "receipt": answer.receipt.document(),
        "range": {
            "since": find.since and find.since.isoformat(),
            "until": find.until and find.until.isoformat(),
            "indexed": answer.extent.indexed,
            "not_indexed": answer.extent.later,
            "pruned": answer.extent.pruned,
        },
        "rows": [_row(entry, proof_of) for entry in answer.rows],
        **({} if answer.hidden is None else {"hidden": answer.hidden}),
        **({} if complete is None else {"complete": complete}),
        "cursor": cursor,
    }


def _row(entry: Entry, proof_of: ProofOf) -> dict[str, Any]:
    told = {name: value for name in _SHOWN if (value := getattr(entry, name)) is not None}
    return {
        "leaf": entry.index,
        "leaf_hash": entry.hash,
        "at": entry.at and entry.at.isoformat(),
        **told,
        "fields": list(entry.fields),
        "proof": proof_of(entry),
    }
