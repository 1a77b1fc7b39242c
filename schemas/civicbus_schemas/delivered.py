"""The delivered type: what is left of a contract under one agreement.

Derived by rule, so that provisioning registers and enforcement encodes the same schema. Each
record level names what was cut from it in `not_released`; receivers raise `NotReleased` there. A
field that is not released as it is says so in `released_as`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from civicbus_schemas.agreement import FieldGrant, Release
from civicbus_schemas.codec import SchemaDocument
from civicbus_schemas.contract import Contract, nested_record, without_null
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.form import (
    AgeAtLeast,
    AgeBand,
    AgeBelow,
    AsIs,
    AtLeast,
    Equal,
    Exists,
    Form,
    PairwisePseudonym,
    Under,
    typed,
)
from civicbus_schemas.ids import AgreementRef


def delivered_namespace(contract: Contract, agreement: AgreementRef) -> str:
    """Where the delivered type's names live: the contract's namespace, agreement and version."""
    return f"{contract.document['namespace']}.{delivered_words(agreement)}"


def delivered_words(agreement: AgreementRef) -> str:
    """An agreement's version as one Avro name; a policy set refuses two that share it."""
    return f"{agreement.id.replace('-', '_').replace('.', '_')}_v{agreement.version}"


def derive_delivered(
    contract: Contract, release: Release, *, agreement: AgreementRef
) -> SchemaDocument:
    """The schema of the deliveries of this contract under this agreement.

    Raises `InvalidAgreement` when a released path is not a field of the contract, or when its form
    does not fit it.
    """
    forms = typed_forms(contract, release, agreement=agreement)
    namespace = delivered_namespace(contract, agreement)
    record = _cut_record(contract.document, forms, place=namespace, prefix="")
    return {
        "type": "record",
        "name": contract.document["name"],
        "namespace": namespace,
        "doc": f"{contract.event_type} as released under {agreement}.",
        "contract": contract.fingerprint,
        "not_released": record["not_released"],
        "fields": record["fields"],
    }


def typed_forms(
    contract: Contract, release: Release, *, agreement: AgreementRef
) -> Mapping[str, Form]:
    """Per released path its form, with values as events hold them; raises `InvalidAgreement`."""
    return {grant.path: _typed(contract, grant, agreement) for grant in release.fields}


def _typed(contract: Contract, grant: FieldGrant, agreement: AgreementRef) -> Form:
    path = grant.path
    if path not in contract.fields:
        raise InvalidAgreement(
            f"{agreement}: {contract.event_type} has no field {path!a}",
            next_step="name a leaf field of the contract",
        )
    numbers = {subject.path for subject in contract.subjects}
    if grant.form == PairwisePseudonym() and path not in numbers:
        raise InvalidAgreement(
            f"{agreement}: {path} of {contract.event_type} cannot be pseudonymised",
            expected="the number of a subject",
        )
    if isinstance(grant.form, Equal) and path in numbers:
        raise InvalidAgreement(
            f"{agreement}: {path} of {contract.event_type} would be compared with one person's",
            next_step="an agreement names nobody: release it as it is, or as a pseudonym",
        )
    return typed(grant.form, contract.fields[path], where=str(agreement))


def _cut_record(
    record: SchemaDocument, forms: Mapping[str, Form], *, place: str, prefix: str
) -> dict[str, Any]:
    """What is left of a record; `place` is the namespace of the types that forms make in it."""
    kept, cut = [], []
    for entry in record["fields"]:
        left = _cut_entry(entry, forms, place=place, prefix=prefix)
        if left is None:
            cut.append(entry["name"])
        else:
            kept.append({key: value for key, value in entry.items() if key != "default"} | left)
    return {
        "type": "record", "name": record["name"], "not_released": cut, "fields": kept,
    }  # fmt: skip


def _cut_entry(
    entry: Mapping[str, Any], forms: Mapping[str, Form], *, place: str, prefix: str
) -> dict[str, Any] | None:
    """What is written anew in a field's entry; None where nothing of the field is left."""
    type_, nullable = without_null(entry["type"])
    path = prefix + entry["name"]
    nested = nested_record(type_)
    if nested is None:
        return _formed(entry, forms[path], place=place) if path in forms else None
    is_array = type_["type"] == "array"
    inner = _cut_record(
        nested,
        forms,
        place=f"{place}.{entry['name']}",
        prefix=path + ("[]." if is_array else "."),
    )
    if not inner["fields"]:
        return None
    left = {"type": "array", "items": inner} if is_array else inner
    return {"type": ["null", left] if nullable else left}


def _formed(entry: Mapping[str, Any], form: Form, *, place: str) -> dict[str, Any]:
    """A leaf's type in this form.

    Null answers for a value that is absent; of an age also for a birth still to come. A band is an
    enum, so that a recipient's program can name every answer; its full name is the field's path.
    """
    _, nullable = without_null(entry["type"])
    match form:
        case AsIs():
            return {"type": entry["type"]}
        case PairwisePseudonym():
            type_ = entry["type"]
        case Exists():
            type_ = "boolean"
        case Equal() | AtLeast() | Under():
            type_ = ["null", "boolean"] if nullable else "boolean"
        case AgeAtLeast() | AgeBelow():
            type_ = ["null", "boolean"]
        case AgeBand(bands=bands):
            name = {"name": entry["name"], "namespace": place}
            type_ = ["null", {"type": "enum", **name, "symbols": list(bands)}]
        case _:
            assert_never(form)
    return {"type": type_, "released_as": str(form)}
