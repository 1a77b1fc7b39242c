"""`civicbus officers report`: a week of officials' acts, as a supervisor is told it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from civicbus_audit.presenting import Language
from civicbus_consumers.officers.rules import Role

from civicbus_deploy.oversight.asking import answered
from civicbus_deploy.oversight.options import AsJson, Home, Issuer, Name, client_of
from civicbus_deploy.oversight.showing import given, print_rows

_COLUMNS = (
    *("agency", "officer", "acts", "people", "cases", "exports", "refused"),
    *("without-case", "at-night", "at-weekend"),
)


def report(
    name: Name,
    *,
    week: Annotated[
        str | None, typer.Option(help="Such as 2026-W47; else the last whole one.")
    ] = None,
    language: Annotated[
        Language, typer.Option("--lang", help="Of the lines about what stands out.")
    ] = Language.EN,
    issuer: Issuer = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What officials asked in a week and what of it stands out, as a supervisor is told it."""
    client = client_of(Role.SUPERVISOR, name, issuer=issuer, home=home)
    document = answered(*client.report(given({"week": week})))
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
        return
    print_rows([_row(one) for one in document["officials"]], _COLUMNS)
    for one in document["officials"]:
        for line in one["stands_out"]:
            sys.stdout.write(f"{one['officer']}: {line[language]}\n")
    for line in _narrated(document):
        typer.echo(line, err=True)


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    counts = {name: measure["count"] for name, measure in one["measures"].items()}
    return {"agency": one["agency"], "officer": one["officer"], "cases": one["cases"], **counts}


def _narrated(document: Mapping[str, Any]) -> list[str]:
    left_out, looked_at = document["left_out"], document["range"]
    week = f"{document['week']}, from {document['since']} to {document['until']}"
    told = [
        week if document["ended"] else f"{week}; it goes on",
        f"acts left out: {left_out['own']} of your own, {left_out['unnamed']} of no official",
        f"this report is record {document['receipt']['record_id']};"
        f" it is made from the first {looked_at['indexed']} leaves",
    ]
    if looked_at["not_indexed"]:
        told.append(f"{looked_at['not_indexed']} newer leaves are not indexed yet")
    if looked_at["pruned"]:
        told.append(f"what was before leaf {looked_at['pruned']} was pruned")
    return told
