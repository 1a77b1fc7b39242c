"""`civicbus explain`: why an agency may have fields, or may not, and what would be needed."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from civicbus_audit.command_line import CommandLine
from civicbus_audit.presenting import Language
from civicbus_consumers.explain.answers import answer_document
from civicbus_consumers.explain.rules import Action, Question, compile_law, explain
from civicbus_consumers.explain.words import needs, sentence
from civicbus_schemas.agreement import local_day
from civicbus_schemas.ids import agency_id, dotted_id, event_type
from civicbus_schemas.terms import Title

from civicbus_deploy.agreements.sets import chosen

app = CommandLine()


@app.command()
def main(
    recipient: Annotated[str, typer.Option(help="The agency that asks, such as bank.")],
    dataset: Annotated[str, typer.Option(help="An event type, or a view.")],
    purpose: Annotated[str, typer.Option(help="A purpose of purposes.yaml.")],
    action: Annotated[Action, typer.Option(help="By stream, or by look-up.")],
    field: Annotated[
        list[str] | None, typer.Option(help="A field's path; repeat it. None: a whole release.")
    ] = None,
    age: Annotated[int | None, typer.Option(min=0, max=150, help="Assumed full years.")] = None,
    consent: Annotated[bool, typer.Option(help="Assume that the person has consented.")] = False,
    break_glass: Annotated[bool, typer.Option(help="Say that a life depends on it.")] = False,
    day: Annotated[
        datetime | None, typer.Option(help="A day; today by default.", formats=["%Y-%m-%d"])
    ] = None,
    nation: Annotated[
        str | None,
        typer.Option(help="A nation's folder or name, else what is announced.", metavar="DIR"),
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="State folder; else CIVICBUS_HOME, else .civicbus here.")
    ] = None,
    lang: Annotated[Language, typer.Option(envvar="CIVICBUS_LANG", help="vi or en.")] = Language.EN,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Tell whether an agency may have these fields, on which ground, or what would be needed."""
    if action is not Action.RELEASE and not field:
        raise typer.BadParameter("a look-up asks for fields", param_hint="--field")
    question = Question(
        recipient=agency_id(recipient),
        action=action,
        dataset=event_type(dataset),
        fields=tuple(dict.fromkeys(field or ())),
        purpose=dotted_id(purpose, what="purpose"),
        day=local_day(datetime.now(UTC)) if day is None else day.date(),
        consent=consent,
        age=age,
        breaks_glass=break_glass,
    )
    law = compile_law(chosen(nation, home))
    explanation = explain(question, law)
    if as_json:
        document = answer_document(explanation, law)
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
        return
    typer.echo(_in(lang, sentence(explanation, law)))
    for need in needs(explanation, law):
        typer.echo(("cần: " if lang is Language.VI else "needed: ") + _in(lang, need))


def _in(language: Language, title: Title) -> str:
    return title.vi if language is Language.VI else title.en
