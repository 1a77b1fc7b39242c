"""Reads a nation's contracts out of the installed package: the only module here that opens files.

Its YAML (agencies, purposes, agreements) is read by provisioning and reaches the other members as
the policy set.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType

from civicbus_schemas.contract import Contract, parse_contract
from civicbus_schemas.errors import InvalidContract
from civicbus_schemas.ids import EventType

DEFAULT_NATION = "vietnam"


def load_contracts(nation: str = DEFAULT_NATION) -> Mapping[EventType, Contract]:
    """The contracts of a packaged nation by event type, views among them."""
    folder = files(f"civicbus_schemas.{nation}") / "contracts"
    parsed = [parse_contract(_document(file)) for file in _schema_files(folder)]
    return MappingProxyType({contract.event_type: contract for contract in parsed})


def _schema_files(folder: Traversable) -> Iterator[Traversable]:
    for family in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if family.is_dir():
            yield from sorted(
                (file for file in family.iterdir() if file.name.endswith(".avsc")),
                key=lambda file: file.name,
            )


def _document(file: Traversable) -> dict[str, object]:
    try:
        document = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise InvalidContract(f"{file.name} is not JSON", got=error) from None
    if not isinstance(document, dict):
        raise InvalidContract(f"{file.name} holds no record", got=type(document).__name__)
    return document
