"""`civicbus replay`: every past decision, made again. It prints no personal data."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import typer
from civicbus_audit.command_line import CommandLine
from civicbus_audit.pruning_command import beginning, tell_beginning
from civicbus_consumers.replay.past import Said
from civicbus_consumers.replay.rules import Replayed, replay

from civicbus_deploy.hindsight.archive import Archive
from civicbus_deploy.hindsight.options import AsJson, Days, Home, Sets, pasts, print_json

DIFFERS = 1
SHOWN = 20

app = CommandLine()


@app.command()
def main(home: Home = None, sets: Sets = None, days: Days = None, as_json: AsJson = False) -> None:
    """Make every past decision again; exit code 1 where one differs from its record."""
    archive = Archive.open(home, sets=sets)
    counts, differences = Counter[str](), list[Replayed]()
    with pasts(archive, days, "replaying") as decisions:
        for replayed in replay(decisions, archive.law_of):
            counts[replayed.finding] += 1
            if replayed.finding.is_difference:
                differences.append(replayed)
    if as_json:
        told: dict[str, object] = {"decisions": counts.total(), "findings": dict(counts)}
        told |= beginning(archive.log)
        print_json(told | {"differences": [_told(replayed) for replayed in differences]})
    else:
        said = ", ".join(f"{finding} {count:,}" for finding, count in sorted(counts.items()))
        typer.echo(f"decisions {counts.total():,}: {said or 'none'}")
        tell_beginning(archive.log)
        for replayed in differences[:SHOWN]:
            typer.echo(json.dumps(_told(replayed), ensure_ascii=False))
    if differences:
        raise typer.Exit(DIFFERS)


def _told(replayed: Replayed) -> dict[str, Any]:
    """One difference: which leaf, what its record says, and what the replay says."""
    record = replayed.past.record
    return {
        "leaf": replayed.past.index,
        "record": record.id,
        "finding": replayed.finding,
        "recorded": _said(Said.of(record)),
        "replayed": None if replayed.said is None else _said(replayed.said),
    }


def _said(said: Said) -> dict[str, Any]:
    told = {
        "decision": said.decision,
        "agreement": None if said.agreement is None else str(said.agreement),
        "reason": said.reason,
        "rule": said.rule,
        "consent": said.consent,
        "purpose": said.purpose,
        "basis": said.basis,
        "fields": list(said.fields),
    }
    return {name: value for name, value in told.items() if value}
