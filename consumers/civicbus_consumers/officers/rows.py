"""A leaf as a row for people."""

from __future__ import annotations

from dataclasses import dataclass

from civicbus_audit.index.searching import Entry
from civicbus_audit.presenting import LOCAL_TIME

from civicbus_consumers.officers.counter import name_of
from civicbus_consumers.officers.phrases import say
from civicbus_consumers.officers.words import WordBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a page shows of one leaf; all are texts in the page's language."""

    index: int
    record: str
    at: str
    who: str
    why: str
    ground: str
    what: str
    outcome: str
    ticket: str


def row_of(entry: Entry, words: WordBook, language: str, *, ticket: str) -> Row:
    """The row of a leaf."""
    who = entry.recipient or entry.actor
    ground = [words.basis(entry.basis, language)] if entry.basis else []
    ground += [text for text in (entry.agreement, entry.rule) if text]
    what = [text for text in (entry.dataset, ", ".join(entry.fields)) if text]
    outcome = [say(entry.decision, language)] if entry.decision else [entry.kind]
    outcome += [entry.reason] if entry.reason else []
    outcome += [say(entry.release, language)] if entry.release else []
    return Row(
        index=entry.index,
        record=name_of(entry),
        at=entry.at.astimezone(LOCAL_TIME).strftime("%Y-%m-%d %H:%M:%S") if entry.at else "",
        who=words.agency(who, language) if who else "",
        why=words.purpose(entry.purpose, language) if entry.purpose else "",
        ground=" · ".join(ground),
        what=": ".join(what),
        outcome=" · ".join(outcome),
        ticket=ticket,
    )
