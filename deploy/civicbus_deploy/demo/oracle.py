"""An independent opinion on what a recipient may have received, byte for byte.

Reads the nation's agreement and contract files itself and stands on Apache `avro`. It imports
nothing of ours, so that no mistake can be in it and in the product for the same reason.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import date, timedelta
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import avro.schema
import yaml
from avro.io import BinaryDecoder, BinaryEncoder, DatumReader, DatumWriter

_EPOCH = date(1970, 1, 1)
_KEPT = ("name", "type", "doc")
_REMEMBERED = 1 << 15
Json = dict[str, Any]


class Oracle:
    """What each agreement of a nation leaves of an event; agreements are named `<id>@<version>`.

    `pairwise_master` is the key from which every recipient's pseudonyms come. Events that this
    nation cannot have published raise what `avro` raises, or `KeyError`, or `ValueError`.
    """

    def __init__(self, nation_folder: Path, *, pairwise_master: bytes) -> None:
        self._master = pairwise_master
        self._contracts = dict(_contracts(nation_folder))
        self._agreements = dict(_agreements(nation_folder))
        self._parsed: dict[str, Any] = {}
        self._writers: dict[tuple[str, str], DatumWriter] = {}
        self._texts = {name: json.dumps(document) for name, document in self._contracts.items()}
        self._read = lru_cache(_REMEMBERED)(self._read_anew)  # an event has several recipients

    def expected(
        self, *, agreement: str, event_type: str, source_body: bytes, writer_schema: str
    ) -> bytes:
        """The Avro body that the delivery of this event (both without frame) must have.

        `writer_schema` is the source's, as JSON.
        """
        event = self._read(source_body, event_type, writer_schema)
        forms = self._forms(agreement, event_type)
        left = self._leave(event, self._contracts[event_type]["fields"], forms, ref=agreement)
        out = BytesIO()
        self._writer(agreement, event_type).write(left, BinaryEncoder(out))
        return out.getvalue()

    def delivered_schema(self, *, agreement: str, event_type: str) -> Json:
        """The contract's schema, in its order, without whatever the agreement does not grant."""
        contract, (id_, _, version) = self._contracts[event_type], agreement.partition("@")
        words = id_.replace(".", "_").replace("-", "_")
        return {
            "type": "record",
            "name": contract["name"],
            "namespace": f"{contract['namespace']}.{words}_v{version}",
            "fields": _granted(contract["fields"], self._forms(agreement, event_type)),
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

    def _forms(self, agreement: str, event_type: str) -> dict[str, str]:
        """Path → form of everything that is granted."""
        grants = self._agreements[agreement]["releases"][event_type]["fields"]
        return {
            path: form
            for grant in grants
            for path, form in (grant.items() if isinstance(grant, dict) else [(grant, "as-is")])
        }

    def _leave(
        self, datum: Json, fields: list[Json], forms: Mapping[str, str], *, ref: str
    ) -> Json:
        """What is left of one record; `forms` are those of the paths below it."""
        left: Json = {}
        for field in fields:
            name = field["name"]
            value, (inner, suffix) = datum[name], _record_in(field["type"])
            below = _below(forms, name + suffix)
            if inner is None and name in forms:
                left[name] = self._formed(value, forms[name], ref)
            elif inner is not None and below:
                keep = [
                    self._leave(item, inner["fields"], below, ref=ref) for item in _items(value)
                ]
                left[name] = keep if isinstance(value, list) else next(iter(keep), None)
        return left

    def _formed(self, value: Any, form: str, ref: str) -> Any:
        if form == "as-is" or value is None:
            return value
        if form != "pairwise-pseudonym":
            raise ValueError(f"the oracle knows no form {form}")
        recipient = self._agreements[ref]["recipient"]
        key = hmac.new(self._master, f"pairwise\0{recipient}".encode(), "sha256").digest()
        return hmac.new(key, f"vn-pin\0{value}".encode(), "sha256").hexdigest()[:32]

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


def _granted(fields: list[Json], forms: Mapping[str, str]) -> list[Json]:
    kept = []
    for field in fields:
        inner, suffix = _record_in(field["type"])
        below = _below(forms, field["name"] + suffix)
        copy = deepcopy({key: field[key] for key in _KEPT if key in field})
        if inner is None and field["name"] in forms:
            kept.append(copy)
        elif inner is not None and below:
            left, _ = _record_in(copy["type"])
            assert left is not None  # noqa: S101 - it is a copy of what was found there
            left["fields"] = _granted(inner["fields"], below)
            kept.append(copy)
    return kept


def _below(forms: Mapping[str, str], prefix: str) -> dict[str, str]:
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
