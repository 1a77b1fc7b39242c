"""A contract with every kind of leaf, alone, nullable and repeated, to be released in any form."""

from __future__ import annotations

from typing import Any

from civicbus_schemas.contract import Contract, parse_contract

from tests.unit.schemas_samples import DATE, Document, leaf

TIME = {"type": "long", "logicalType": "timestamp-micros"}
KINDS: dict[str, Any] = {
    "flag": "boolean", "count": "int", "cost": "long", "share": "float", "ratio": "double",
    "word": "string", "blob": "bytes", "day": DATE, "moment": TIME,
    "words": {"type": "array", "items": "string"},
}  # fmt: skip


def document() -> Document:
    """The contract: a person, a nullable record of every kind, and a list of such records."""
    return {
        "type": "record",
        "name": "Everything",
        "namespace": "vn.everything",
        "doc": "Everything.",
        "family": "everything",
        "subjects": [{"name": "person", "path": "person.pin"}],
        "fields": [
            {"name": "person", "type": _record("Person", leaf("pin", subject="person")),
             "doc": "The person."},
            {"name": "maybe", "type": ["null", _record("Maybe")], "default": None, "doc": "One."},
            {"name": "many", "type": {"type": "array", "items": _record("Many")}, "doc": "Many."},
        ],
    }  # fmt: skip


def contract() -> Contract:
    """The contract, parsed."""
    return parse_contract(document())


def _record(name: str, *first: Document) -> Document:
    leaves = [leaf(kind, type_, subject="person") for kind, type_ in KINDS.items()]
    leaves += [
        leaf(f"no_{kind}", ["null", type_], subject="person", default=None)
        for kind, type_ in KINDS.items()
    ]
    leaves += [leaf("colour", _colour(name), subject="person")]
    return {"type": "record", "name": name, "fields": [*first, *leaves]}


def _colour(name: str) -> Document:
    return {"type": "enum", "name": f"{name}Colour", "symbols": ["red", "blue"]}
