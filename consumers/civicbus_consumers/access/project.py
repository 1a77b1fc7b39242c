"""Cutting an event down to what one agreement releases.

Today an event is decoded once and each cut picks from the datum; the byte-level path will replace
`Opened` with an offset index, behind the same two functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from civicbus_schemas.agreement import Release
from civicbus_schemas.codec import AvroType, SchemaDocument
from civicbus_schemas.contract import Contract, nested_record, without_null
from civicbus_schemas.delivered import derive_delivered
from civicbus_schemas.ids import AgreementRef
from civicbus_schemas.pseudonym import pairwise_pseudonym
from civicbus_schemas.vocabulary import Form

Opened = Mapping[str, Any]
Pick = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What turns an event into one delivery: the delivered type and how its values are picked."""

    delivered: AvroType
    pick: Pick = field(repr=False, compare=False)


def open_event(body: bytes, contract: Contract, writer: AvroType) -> Opened:
    """The event in an Avro body, read as the contract of the plan; raises `InvalidBytes`.

    What the writer's schema has and the contract does not know is dropped here: deny by default.
    """
    if writer.fingerprint == contract.fingerprint:
        return contract.avro.decode(body)
    return writer.decode_as(body, contract.avro)


def project(event: Opened, cut: Cut) -> bytes:
    """The Avro body of the delivery that this cut leaves of the event."""
    return cut.delivered.encode(cut.pick(event))


def compile_cut(
    contract: Contract, release: Release, *, agreement: AgreementRef, pairwise_key: bytes
) -> Cut:
    """The cut of a release; `pairwise_key` is the recipient's, for its pseudonyms."""
    document = derive_delivered(contract, release, agreement=agreement)
    forms = {grant.path: grant.form for grant in release.fields}

    def pick_leaf(path: str) -> Pick | None:
        if forms[path] is Form.PAIRWISE_PSEUDONYM:
            return lambda number: pairwise_pseudonym(pairwise_key, number)
        return None

    return Cut(delivered=AvroType(document), pick=_record_picker(document, pick_leaf, prefix=""))


def _record_picker(
    record: SchemaDocument, pick_leaf: Callable[[str], Pick | None], *, prefix: str
) -> Pick:
    """A function from the contract's datum of a record to the delivered one."""
    as_is: list[str] = []
    changed: list[tuple[str, Pick]] = []
    for entry in record["fields"]:
        name = entry["name"]
        pick = _field_picker(entry, pick_leaf, path=prefix + name)
        if pick is None:
            as_is.append(name)
        else:
            changed.append((name, pick))

    def pick_record(datum: Opened) -> dict[str, Any]:
        picked = {name: datum[name] for name in as_is}
        for name, pick in changed:
            value = datum[name]
            picked[name] = None if value is None else pick(value)
        return picked

    return pick_record


def _field_picker(
    entry: Mapping[str, Any], pick_leaf: Callable[[str], Pick | None], *, path: str
) -> Pick | None:
    """How a field's value is changed; None where it is taken as it is."""
    type_, _ = without_null(entry["type"])
    nested = nested_record(type_)
    if nested is None:
        return pick_leaf(path)
    if type_["type"] == "record":
        return _record_picker(nested, pick_leaf, prefix=f"{path}.")
    pick_item = _record_picker(nested, pick_leaf, prefix=f"{path}[].")
    return lambda items: [pick_item(item) for item in items]
