"""Cutting an event down to what one agreement releases.

Today an event is decoded once and each cut picks from the datum; the byte-level path will replace
`Opened` with an offset index, behind the same two functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from civicbus_schemas.agreement import Release
from civicbus_schemas.codec import AvroType, SchemaDocument
from civicbus_schemas.contract import Contract, nested_record, without_null
from civicbus_schemas.delivered import derive_delivered, typed_forms
from civicbus_schemas.form import AsIs, Form, PairwisePseudonym
from civicbus_schemas.ids import AgreementRef
from civicbus_schemas.pseudonym import pairwise_pseudonym

from civicbus_consumers.access.answers import asking

Opened = Mapping[str, Any]
Pick = Callable[[Any, date], Any]
"""From a field's value, and the day of release, to the delivered value."""


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


def project(event: Opened, cut: Cut, *, on: date) -> bytes:
    """The Avro body of the delivery that this cut leaves of the event.

    `on` is the day of release in the nation's zone: ages are those of that day.
    """
    return cut.delivered.encode(cut.pick(event, on))


def compile_cut(
    contract: Contract, release: Release, *, agreement: AgreementRef, pairwise_key: bytes
) -> Cut:
    """The cut of a release; `pairwise_key` is the recipient's, for its pseudonyms."""
    document = derive_delivered(contract, release, agreement=agreement)
    forms = typed_forms(contract, release, agreement=agreement)
    picks = {path: _leaf_picker(form, pairwise_key) for path, form in forms.items()}
    return Cut(delivered=AvroType(document), pick=_record_picker(document, picks, prefix=""))


def _leaf_picker(form: Form, pairwise_key: bytes) -> Pick | None:
    """How a leaf's value is changed; None where it is taken as it is."""
    match form:
        case AsIs():
            return None
        case PairwisePseudonym():
            return _of_present(lambda number, _: pairwise_pseudonym(pairwise_key, number))
        case _:
            return asking(form)


def _of_present(pick: Pick) -> Pick:
    return lambda value, on: None if value is None else pick(value, on)


def _record_picker(
    record: SchemaDocument, picks: Mapping[str, Pick | None], *, prefix: str
) -> Pick:
    """A function from the contract's datum of a record to the delivered one."""
    as_is: list[str] = []
    changed: list[tuple[str, Pick]] = []
    for entry in record["fields"]:
        name = entry["name"]
        pick = _field_picker(entry, picks, path=prefix + name)
        if pick is None:
            as_is.append(name)
        else:
            changed.append((name, pick))

    def pick_record(datum: Opened, on: date) -> dict[str, Any]:
        picked = {name: datum[name] for name in as_is}
        for name, pick in changed:
            picked[name] = pick(datum[name], on)
        return picked

    return pick_record


def _field_picker(
    entry: Mapping[str, Any], picks: Mapping[str, Pick | None], *, path: str
) -> Pick | None:
    """How a field's value is changed; None where it is taken as it is."""
    type_, _ = without_null(entry["type"])
    nested = nested_record(type_)
    if nested is None:
        return picks[path]
    if type_["type"] == "record":
        return _of_present(_record_picker(nested, picks, prefix=f"{path}."))
    pick_item = _record_picker(nested, picks, prefix=f"{path}[].")
    return _of_present(lambda items, on: [pick_item(item, on) for item in items])
