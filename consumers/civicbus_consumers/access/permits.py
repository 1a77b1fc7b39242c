"""Agreements as Cedar: what each permits, under its own name, on its days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.ids import EventType
from civicbus_schemas.vocabulary import Access, ConsentRule

RELEASE, READ, VERIFY, CONSENT = "release", "read", "verify", "consent"


def permits(agreement: Agreement) -> str:
    """An agreement as Cedar: one `permit` for each dataset and action, and for consenting to it."""
    return "\n".join(
        _permit(agreement, action, dataset=dataset, paths=paths)
        for action, dataset, paths in grants_of(agreement)
        if paths
    )


def whole_day(day: date) -> int:
    """A day as a number that Cedar can compare: 20261231."""
    return day.year * 10_000 + day.month * 100 + day.day


def grants_of(agreement: Agreement) -> Iterator[tuple[str, EventType, Iterable[str]]]:
    """What an agreement names: action, dataset, paths."""
    for event_type, release in agreement.releases.items():
        yield RELEASE, event_type, release.paths
    for view, reads in agreement.reads.items():
        yield READ, view, sorted(reads.read)
        yield VERIFY, view, sorted(reads.verify)


def _permit(agreement: Agreement, action: str, *, dataset: EventType, paths: Iterable[str]) -> str:
    """Ids and paths hold letters, digits and `-_.[]@:` only, so that nothing needs an escape."""
    fields = ", ".join(f'Field::"{dataset}:{path}"' for path in paths)
    emergency = agreement.access is Access.BREAK_GLASS
    conditional = action == RELEASE and agreement.releases[dataset].only_if
    when = [
        f"[{fields}].contains(resource)",
        f'context.agreement == "{agreement.ref}"',
        f'context.purpose == Purpose::"{agreement.purpose}"',
        f'context.basis == Basis::"{agreement.basis}"',
        f"context.day >= {whole_day(agreement.valid_from)}",
        f"context.day <= {whole_day(agreement.valid_until)}",
        "context.break_glass" if emergency else "!context.break_glass",
        *(["context.conditions"] if conditional else []),
        *(["context.consent"] if agreement.consent is ConsentRule.REQUIRED else []),
    ]
    return (
        f'@id("{agreement.ref}")\n'
        f'permit (principal == Agency::"{agreement.recipient}",'
        f' action in [Action::"{action}", Action::"{CONSENT}"], resource)\n'
        f"when {{ {' && '.join(when)} }};"
    )
