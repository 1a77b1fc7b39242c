"""The shapes of the nation's vocabularies; the policy set checks what they mean."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from civicbus_deploy.provisioning.documents import Document, InvalidNation


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Titles(_Shape):
    vi: str
    en: str


class _Agency(_Shape):
    names: _Titles
    kind: str
    publishes: list[str]
    receives: list[str]
    keeps: list[str]
    data_protection: bool


class _Purpose(_Shape):
    titles: _Titles
    function: str
    bases: list[str]
    groups: list[str]


class _Basis(_Shape):
    titles: _Titles
    article: str
    needs_consent: bool
    sensitive: bool
    recipient_kinds: list[str]
    access: list[str]


class Agencies(_Shape):
    """`agencies.yaml`."""

    agencies: dict[str, _Agency]


class Purposes(_Shape):
    """`purposes.yaml`."""

    purposes: dict[str, _Purpose]
    bases: dict[str, _Basis]


class _Retention(_Shape):
    ledger_years: int
    source: str


class Retention(_Shape):
    """`retention.yaml`."""

    retention: _Retention


S = TypeVar("S", bound=_Shape)


def shaped(document: Document, shape: type[S]) -> dict[str, Any]:
    """The content, if it has the shape; raises `InvalidNation` for the first entry that has not."""
    try:
        return shape.model_validate(document.content).model_dump()
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        raise InvalidNation(
            f"{document.at(first['loc'])}: {'.'.join(map(str, first['loc'])) or 'the file'}",
            got=first["msg"],
            expected=f"the shape described at the top of {document.file}",
        ) from None
