"""An independent opinion on what a recipient may have received, byte for byte.

In one file, and a little longer than our others, so that it can be read without any of them.
Reads the nation's agreement and contract files itself and stands on Apache `avro`. It imports
nothing of ours, so that no mistake can be in it and in the product for the same reason.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import avro.schema
import yaml
from avro.io import BinaryDecoder, BinaryEncoder, DatumReader, DatumWriter

_EPOCH = date(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_KEPT = ("name", "type", "doc")
_REMEMBERED = 1 << 15
Json = dict[str, Any]


class Oracle:
    """What each agreement of a nation leaves of an event; agreements are named `<id>@<version>`.

    `pairwise_key_of` gives the key of a recipient's pseudonyms. Events that this
    nation cannot have published raise what `avro` raises, or `KeyError`, or `ValueError`.
    """

    def __init__(self, nation_folder: Path, *, pairwise_key_of: Callable[[str], bytes]) -> None:
        self._key_of = pairwise_key_of
        self._contracts = dict(_contracts(nation_folder))
        self._agreements = dict(_agreements(nation_folder))
        self._parsed: dict[str, Any] = {}
        self._writers: dict[tuple[str, str], DatumWriter] = {}
        self._texts = {name: json.dumps(document) for name, document in self._contracts.items()}
        self._read = lru_cache(_REMEMBERED)(self._read_anew)  # an event has several recipients

    def expected(
        self, *, agreement: str, event_type: str, source_body: bytes, writer_schema: str, on: date
    ) -> bytes:
        """The Avro body that the delivery of this event (both without frame) must have.

        `writer_schema` is the source's, as JSON; `on` the day of release in Asia/Ho_Chi_Minh.
        """
        event = self._read(source_body, event_type, writer_schema)
        forms = self._forms(agreement, event_type)
        fields = self._contracts[event_type]["fields"]
        left = self._leave(event, fields, forms, ref=agreement, on=on)
        out = BytesIO()
        self._writer(agreement, event_type).write(left, BinaryEncoder(out))
        return out.getvalue()

    def delivered_schema(self, *, agreement: str, event_type: str) -> Json:
        """The contract's schema, in its order, without whatever the agreement does not grant."""
        contract, (id_, _, version) = self._contracts[event_type], agreement.partition("@")
        words = id_.replace(".", "_").replace("-", "_")
        namespace = f"{contract['namespace']}.{words}_v{version}"
        forms = self._forms(agreement, event_type)
        return {
            "type": "record",
            "name": contract["name"],
            "namespace": namespace,
            "fields": _granted(contract["fields"], forms, namespace=namespace),
        }

    def may_be_released(
        self,
        *,
        agreement: str,
        event_type: str,
        source_body: bytes,
        on: date,
        writer_schema: str | None = None,
    ) -> bool:
        """Whether agreement, validity and conditions allow it on this day in Asia/Ho_Chi_Minh.

        Consent is not asked. Without a `writer_schema` the contract is taken to have written.
        """
        document = self._agreements[agreement]
        if event_type not in document.get("releases", {}):
            return False
        if not document["valid"]["from"] <= on <= document["valid"]["until"]:
            return False
        event = self._read(source_body, event_type, writer_schema or self._texts[event_type])
        for condition in document["releases"][event_type].get("only_if", []):
            [(path, test)] = condition.items()
            [(name, years)] = test.items()
            if name != "age-under-years":
                raise ValueError(f"the oracle knows no condition {name}")
            if not _all_younger(list(_values(event, path.split("."))), years, on):
                return False
        return True

    def _forms(self, agreement: str, event_type: str) -> dict[str, Any]:
        """Path → form of everything that is granted."""
        grants = self._agreements[agreement]["releases"][event_type]["fields"]
        return {
            path: form
            for grant in grants
            for path, form in (grant.items() if isinstance(grant, dict) else [(grant, "as-is")])
        }

    def _leave(
        self, datum: Json, fields: list[Json], forms: Mapping[str, Any], *, ref: str, on: date
    ) -> Json:
        """What is left of one record; `forms` are those of the paths below it."""
        left: Json = {}
        for field in fields:
            name = field["name"]
            value, (inner, suffix) = datum[name], _record_in(field["type"])
            below = _below(forms, name + suffix)
            if inner is None and name in forms:
                left[name] = self._formed(value, forms[name], field["type"], ref=ref, on=on)
            elif inner is not None and below:
                keep = [
                    self._leave(item, inner["fields"], below, ref=ref, on=on)
                    for item in _items(value)
                ]
                left[name] = keep if isinstance(value, list) else next(iter(keep), None)
        return left

    def _formed(self, value: Any, form: Any, type_: Any, *, ref: str, on: date) -> Any:
        match form:
            case "as-is":
                return value
            case "exists":
                return value not in (None, [])
            case _ if value is None:
                return None
            case "pairwise-pseudonym":
                return self._pseudonym(value, self._agreements[ref]["recipient"])
            case {"equal": known}:
                return value == _number(known, type_)
            case {"at-least": known}:
                return value >= _number(known, type_)
            case {"under": known}:
                return value < _number(known, type_)
        age = _age(value, on)
        match form:
            case _ if age is None:
                return None
            case {"age-at-least": years}:
                return age >= years
            case {"age-under": years}:
                return age < years
            case {"age-band": bounds}:
                return _bands(bounds)[sum(bound <= age for bound in bounds)]
        raise ValueError(f"the oracle knows no form {form}")

    def _pseudonym(self, number: str, recipient: str) -> str:
        key = self._key_of(recipient)
        return hmac.new(key, f"vn-pin\0{number}".encode(), "sha256").hexdigest()[:32]

    def _read_anew(self, body: bytes, event_type: str, writer_schema: str) -> Json:
        """The event as its contract reads it."""
        source = BytesIO(body)
        reader = self._parse(self._texts[event_type])
        event: Json = DatumReader(self._parse(writer_schema), reader).read(BinaryDecoder(source))
        if source.read():
            raise ValueError(f"bytes are left over after {event_type}")
        return event

    def _writer(self, agreement: str, event_type: str) -> DatumWriter:
        key = agreement, event_type
        if key not in self._writers:
            schema = self.delivered_schema(agreement=agreement, event_type=event_type)
            self._writers[key] = DatumWriter(self._parse(json.dumps(schema)))
        return self._writers[key]

    def _parse(self, text: str) -> Any:
        """The schema without logical types: days and instants are compared as the numbers sent."""
        if text not in self._parsed:
            self._parsed[text] = avro.schema.make_avsc_object(_numbers(json.loads(text)))
        return self._parsed[text]


def _contracts(folder: Path) -> Iterator[tuple[str, Json]]:
    for path in folder.glob("contracts/*/*.avsc"):
        document = json.loads(path.read_text("utf-8"))
        yield f"{document['family']}.{document['name']}", document


def _agreements(folder: Path) -> Iterator[tuple[str, Json]]:
    for path in folder.glob("agreements/*.yaml"):
        document = yaml.safe_load(path.read_text("utf-8"))
        yield f"{document['agreement']}@{document['version']}", document


def _numbers(node: Any) -> Any:
    match node:
        case dict():
            return {key: _numbers(value) for key, value in node.items() if key != "logicalType"}
        case list():
            return [_numbers(item) for item in node]
    return node


def _record_in(type_: Any) -> tuple[Json | None, str]:
    """The record in a field's type, and what stands between the names in a path."""
    for branch in type_ if isinstance(type_, list) else [type_]:
        match branch:
            case {"type": "record"}:
                return branch, "."
            case {"type": "array", "items": {"type": "record"} as inner}:
                return inner, "[]."
    return None, ""


def _granted(fields: list[Json], forms: Mapping[str, Any], *, namespace: str) -> list[Json]:
    kept = []
    for field in fields:
        inner, suffix = _record_in(field["type"])
        below = _below(forms, field["name"] + suffix)
        copy = deepcopy({key: field[key] for key in _KEPT if key in field})
        if inner is None and field["name"] in forms:
            copy["type"] = _type_of(field, forms[field["name"]], namespace)
            kept.append(copy)
        elif inner is not None and below:
            left, _ = _record_in(copy["type"])
            assert left is not None  # noqa: S101 - it is a copy of what was found there
            inside = f"{namespace}.{field['name']}"
            left["fields"] = _granted(inner["fields"], below, namespace=inside)
            kept.append(copy)
    return kept


def _type_of(field: Json, form: Any, namespace: str) -> Any:
    """What a recipient reads where the contract has this field."""
    match form:
        case "as-is" | "pairwise-pseudonym":
            return field["type"]
        case "exists":
            return "boolean"
        case {"age-band": bounds}:
            named = {"name": field["name"], "namespace": namespace, "symbols": _bands(bounds)}
            return ["null", {"type": "enum"} | named]
        case {"age-at-least": _} | {"age-under": _}:
            return ["null", "boolean"]
    return ["null", "boolean"] if "null" in field["type"] else "boolean"


def _bands(bounds: list[int]) -> list[str]:
    inner = [f"from_{bounds[i]}_to_{bounds[i + 1] - 1}" for i in range(len(bounds) - 1)]
    return [f"under_{bounds[0]}", *inner, f"from_{bounds[-1]}"]


def _number(known: Any, type_: Any) -> Any:
    """What an agreement names, as the contract's bytes hold it: days and instants are numbers."""
    text = known if isinstance(known, str) else getattr(known, "isoformat", lambda: None)()
    kinds = json.dumps(type_)
    if text is not None and '"date"' in kinds:
        return (date.fromisoformat(text) - _EPOCH).days
    if text is not None and '"timestamp-micros"' in kinds:
        return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // _MICROSECOND
    return known


def _age(day: int, on: date) -> int | None:
    """Birthdays that somebody born on this day has had; None who is not yet born."""
    born, years = _EPOCH + timedelta(days=day), 0
    if born > on:
        return None
    while (born.year + years + 1, born.month, born.day) <= (on.year, on.month, on.day):
        years += 1
    return years


def _below(forms: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The granted paths that begin with `prefix`, without it."""
    return {path[len(prefix) :]: form for path, form in forms.items() if path.startswith(prefix)}


def _items(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _values(value: Any, names: list[str]) -> Iterator[Any]:
    """Every value at a path; None where the way to it ends early."""
    if not names or value is None:
        yield value
        return
    inner = value[names[0].removesuffix("[]")]
    for item in inner if isinstance(inner, list) else [inner]:
        yield from _values(item, names[1:])


def _all_younger(days: list[int | None], years: int, on: date) -> bool:
    """Whether all were born, and none has had that birthday yet; nobody at all is not enough."""
    if not days:
        return False
    for day in days:
        if day is None:
            return False
        born = _EPOCH + timedelta(days=day)
        birthday = (born.year + years, born.month, born.day)
        if born > on or birthday <= (on.year, on.month, on.day):
            return False
    return True
