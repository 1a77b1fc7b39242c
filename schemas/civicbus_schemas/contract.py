"""Contracts: one Avro schema per event type, every leaf field labelled with owner and meaning.

A path is names joined by `.`; an array of records is `name[]`: `child.pin`, `parents[].pin`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

from civicbus_schemas import ids
from civicbus_schemas.codec import AvroType, SchemaDocument, document_fingerprint
from civicbus_schemas.errors import InvalidContract, InvalidIdentifier
from civicbus_schemas.ids import EventType, Fingerprint
from civicbus_schemas.vocabulary import Sensitivity

RESERVED_NAME, WITHDRAWN_NAME = "Withheld", "Withdrawn"
_LABELS = ("owner", "sensitivity", "category", "subject", "doc")
_FIELD_KEYS = {"name", "type", "default", *_LABELS}
_CONTAINER_KEYS = {"name", "type", "default", "doc"}
_NESTED_KEYS = {"type", "name", "doc", "fields"}
_RECORD_KEYS = _NESTED_KEYS | {"namespace", "family", "subjects", "view"}
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PRIMITIVES = {"boolean", "int", "long", "float", "double", "string", "bytes"}
_LOGICAL = {("int", "date"), ("long", "timestamp-micros")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A labelled leaf. `type` is its Avro type without null; `category` a W3C DPV term."""

    path: str
    type: Any
    nullable: bool
    owner: str
    sensitivity: Sensitivity
    category: str | None
    subject: str
    doc: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose data the event holds, and the path of that person's number."""

    name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One event type: what may be in it, about whom, owned by whom."""

    event_type: EventType
    family: str
    is_view: bool
    subjects: tuple[Subject, ...]
    fields: Mapping[str, Field]
    document: SchemaDocument
    fingerprint: Fingerprint
    avro: AvroType = field(repr=False, compare=False)

    @property
    def key_subject(self) -> Subject:
        """The subject whose pseudonym is the message key."""
        return self.subjects[0]

    def subject_numbers(self, datum: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        """Per subject name the numbers found in the datum (none where a path is null)."""
        return {
            subject.name: tuple(n for n in values_at(datum, subject.path) if n is not None)
            for subject in self.subjects
        }


def values_at(datum: Mapping[str, Any], path: str) -> Iterator[Any]:
    """The values at a path, None where a record or leaf on the way is null."""
    head, _, rest = path.partition(".")
    many = head.endswith("[]")
    value = datum[head.removesuffix("[]")]
    if value is None:
        yield None
    elif not rest:
        yield value
    else:
        for item in value if many else (value,):
            yield from values_at(item, rest)


def parse_contract(document: SchemaDocument) -> Contract:
    """The contract of an .avsc document.

    Raises `InvalidContract` for an unlabelled field, an unknown key, a type we do not carry (maps,
    unions of two, unknown logical types), or a subject whose path is not a text field of its own.
    """
    name, family = str(document.get("name", "")), str(document.get("family", ""))
    try:
        type_ = ids.event_type(f"{family}.{name}")
    except InvalidIdentifier as error:
        raise InvalidContract(
            f"contract {name!a} has no proper family", expected=error.expected
        ) from None
    if name in {RESERVED_NAME, WITHDRAWN_NAME}:
        raise InvalidContract(f"{type_} is the type of notices", expected="another name")
    _only_keys(document, _RECORD_KEYS, where=type_)
    is_view = document.get("view", False)
    if not isinstance(is_view, bool):
        raise InvalidContract(f"{type_}: view", expected="true or false")
    fields = {leaf.path: leaf for leaf in _leaves(document, prefix="", where=type_)}
    contract = Contract(
        event_type=type_,
        family=family,
        is_view=is_view,
        subjects=_subjects(document, where=type_),
        fields=MappingProxyType(fields),
        document=document,
        fingerprint=document_fingerprint(document),
        avro=AvroType(document),
    )
    _check_subjects(contract)
    return contract


def _subjects(document: SchemaDocument, *, where: str) -> tuple[Subject, ...]:
    entries = document.get("subjects")
    if not isinstance(entries, list) or not entries:
        raise InvalidContract(f"{where} names no subject", expected="at least one")
    subjects = []
    for entry in entries:
        match entry:
            case {"name": str(name), "path": str(path), **rest} if not rest:
                subjects.append(Subject(name, path))
            case _:
                raise InvalidContract(f"{where}: a subject", expected="a name and a path")
    if len({subject.name for subject in subjects}) < len(subjects):
        raise InvalidContract(f"{where}: a subject is named twice")
    return tuple(subjects)


def _check_subjects(contract: Contract) -> None:
    where = contract.event_type
    names = {subject.name for subject in contract.subjects}
    for subject in contract.subjects:
        leaf = contract.fields.get(subject.path)
        if leaf is None or leaf.type != "string" or leaf.subject != subject.name:
            raise InvalidContract(
                f"{where}: subject {subject.name} has no number",
                expected=f"a text field of that subject at {subject.path}",
            )
    key = contract.key_subject
    if "[]" in key.path or contract.fields[key.path].nullable:
        raise InvalidContract(f"{where}: the first subject must be exactly one person")
    for leaf in contract.fields.values():
        if leaf.subject not in names:
            raise InvalidContract(
                f"{where}: field {leaf.path} is about an unknown subject",
                got=leaf.subject,
                expected=f"one of {sorted(names)}",
            )


def _leaves(record: SchemaDocument, *, prefix: str, where: str) -> Iterator[Field]:
    for entry in _entries(record, where=f"{where}: record {prefix or record.get('name')}"):
        path = prefix + str(entry["name"])
        if not _FIELD_NAME.fullmatch(str(entry["name"])):
            raise InvalidContract(f"{where}: field name {path!a}", expected="snake_case")
        type_, nullable = without_null(entry["type"], where=f"{where}: field {path}")
        nested = nested_record(type_)
        if nested is None:
            yield _leaf(entry, path=path, type_=type_, nullable=nullable, where=where)
            continue
        _only_keys(entry, _CONTAINER_KEYS, where=f"{where}: field {path}")
        _only_keys(nested, _NESTED_KEYS, where=f"{where}: record {path}")
        suffix = "." if nested is type_ else "[]."
        yield from _leaves(nested, prefix=path + suffix, where=where)


def _entries(record: SchemaDocument, *, where: str) -> Sequence[SchemaDocument]:
    entries = record.get("fields")
    if record.get("type") != "record" or not isinstance(entries, list) or not entries:
        raise InvalidContract(where, expected="an Avro record with fields")
    if not all(isinstance(e, Mapping) and {"name", "type"} <= set(e) for e in entries):
        raise InvalidContract(where, expected="fields, each with a name and a type")
    names = [str(entry["name"]) for entry in entries]
    if len(set(names)) < len(names):
        raise InvalidContract(f"{where}: a field is named twice")
    return entries


def _leaf(entry: Mapping[str, Any], *, path: str, type_: Any, nullable: bool, where: str) -> Field:
    _only_keys(entry, _FIELD_KEYS, where=f"{where}: field {path}")
    missing = [label for label in _LABELS if entry.get(label, "") == ""]
    if missing:
        raise InvalidContract(f"{where}: field {path} is unlabelled", expected=", ".join(missing))
    for label in _LABELS:
        if not isinstance(entry[label], str) and (label, entry[label]) != ("category", None):
            raise InvalidContract(f"{where}: field {path}: {label}", expected="a text")
    if not _carried(type_):
        raise InvalidContract(f"{where}: field {path} has a type we do not carry", got=type_)
    if entry["sensitivity"] not in list(Sensitivity):
        raise InvalidContract(
            f"{where}: field {path} has an unknown sensitivity", expected=list(Sensitivity)
        )
    return Field(
        path=path,
        type=type_,
        nullable=nullable,
        owner=entry["owner"],
        sensitivity=Sensitivity(entry["sensitivity"]),
        category=entry["category"],
        subject=entry["subject"],
        doc=entry["doc"],
    )


def without_null(type_: Any, *, where: str = "a field") -> tuple[Any, bool]:
    """The type under a null union, and whether there was one."""
    if not isinstance(type_, list):
        return type_, False
    others = [branch for branch in type_ if branch != "null"]
    if len(others) != 1 or len(type_) != 2:
        raise InvalidContract(f"{where} is a union of several types", expected="[null, X]")
    return others[0], True


def nested_record(type_: Any) -> SchemaDocument | None:
    """The record of a record type or of an array of records; None for a leaf."""
    match type_:
        case {"type": "record"}:
            return cast("SchemaDocument", type_)
        case {"type": "array", "items": {"type": "record"} as inner, **rest} if not rest:
            return cast("SchemaDocument", inner)
    return None


def _carried(type_: Any) -> bool:
    match type_:
        case str():
            return type_ in _PRIMITIVES
        case {"type": "array", "items": str(item), **rest}:
            return item in _PRIMITIVES and not rest
        case {"type": str(base), "logicalType": str(logical), **rest}:
            return (base, logical) in _LOGICAL and not rest
        case {"type": "enum", "name": str(), "symbols": list(), **rest}:
            return set(rest) <= {"doc"}
    return False


def _only_keys(entry: Mapping[str, Any], allowed: set[str], *, where: str) -> None:
    unknown = sorted(str(key) for key in set(entry) - allowed)
    if unknown:
        raise InvalidContract(f"{where} has unknown keys", got=unknown, expected=sorted(allowed))
