"""The gate on schemas: FULL_TRANSITIVE, judged by Apache `avro`.

Whoever reads with any registered version must read what was written with any other, so the gate
compares a candidate with all of them, in both directions (Avro 1.12 specification, Schema
Resolution). A delivered type never meets another: its name carries the agreement's version, so that
only an agreement changed without a new version is caught here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import Schema, parse
from civicbus_schemas.codec import SchemaDocument
from civicbus_schemas.errors import Refused


class Incompatible(Refused):
    """A schema would break readers or writers of a registered version."""


def check_compatible(
    candidate: SchemaDocument, registered: Iterable[SchemaDocument], *, subject: str
) -> None:
    """Raise `Incompatible` unless the candidate and every registered version read each other."""
    new = _parsed(candidate)
    for version, document in enumerate(registered, start=1):
        old = _parsed(document)
        _check(reader=new, writer=old, subject=subject, direction=f"the new one, version {version}")
        _check(reader=old, writer=new, subject=subject, direction=f"version {version}, the new one")


def _check(*, reader: Schema, writer: Schema, subject: str, direction: str) -> None:
    result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
    if result.compatibility is SchemaCompatibilityType.compatible:
        return
    raise Incompatible(
        f"{subject}: reader and writer ({direction}) do not fit",
        got="; ".join(sorted(result.messages)),
        expected="a change compatible in both directions, such as a new field with a default",
        next_step="add an optional field instead, or name a new event type; "
        "for deliveries, give the agreement a new version",
    )


def _parsed(document: SchemaDocument) -> Schema:
    return parse(json.dumps(document))
