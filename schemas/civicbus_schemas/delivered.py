"""The delivered type: what is left of a contract under one agreement.

Derived by rule, so that provisioning registers and enforcement encodes the same schema. Each
record level names what was cut from it in `not_released`; receivers raise `NotReleased` there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from civicbus_schemas.agreement import FieldGrant, Release
from civicbus_schemas.codec import SchemaDocument
from civicbus_schemas.contract import Contract, nested_record, without_null
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.ids import AgreementRef
from civicbus_schemas.vocabulary import Form


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

    Raises `InvalidAgreement` when a released path is not a field of the contract, or when a
    pseudonym is asked of a field that is not a person's number.
    """
    for grant in release.fields:
        _check_grant(contract, grant, agreement)
    forms = {grant.path: grant.form for grant in release.fields}
    record = _cut_record(contract.document, forms, prefix="")
    return {
        "type": "record",
        "name": contract.document["name"],
        "namespace": delivered_namespace(contract, agreement),
        "doc": f"{contract.event_type} as released under {agreement}.",
        "contract": contract.fingerprint,
        "not_released": record["not_released"],
        "fields": record["fields"],
    }


def _check_grant(contract: Contract, grant: FieldGrant, agreement: AgreementRef) -> None:
    path = grant.path
    if path not in contract.fields:
        raise InvalidAgreement(
            f"{agreement}: {contract.event_type} has no field {path!a}",
            next_step="name a leaf field of the contract",
        )
    if grant.form is Form.PAIRWISE_PSEUDONYM and path not in {s.path for s in contract.subjects}:
        raise InvalidAgreement(
            f"{agreement}: {path} of {contract.event_type} cannot be pseudonymised",
            expected="the number of a subject",
        )


def _cut_record(
    record: SchemaDocument, forms: Mapping[str, Form], *, prefix: str
) -> dict[str, Any]:
    kept, cut = [], []
    for entry in record["fields"]:
        type_ = _cut_type(entry, forms, path=prefix + entry["name"])
        if type_ is None:
            cut.append(entry["name"])
        else:
            kept.append({key: value for key, value in entry.items() if key != "default"}
                        | {"type": type_})  # fmt: skip
    return {
        "type": "record", "name": record["name"], "not_released": cut, "fields": kept,
    }  # fmt: skip


def _cut_type(entry: Mapping[str, Any], forms: Mapping[str, Form], *, path: str) -> Any:
    """The type of what is left of a field; None where nothing is."""
    type_, nullable = without_null(entry["type"])
    nested = nested_record(type_)
    if nested is None:
        if path not in forms:
            return None
        return entry["type"]
    is_array = type_["type"] == "array"
    inner = _cut_record(nested, forms, prefix=path + ("[]." if is_array else "."))
    if not inner["fields"]:
        return None
    left = {"type": "array", "items": inner} if is_array else inner
    return ["null", left] if nullable else left
