"""Event classes, built from contracts: frozen values whose every field was checked.

A class per record: `BirthRegistered`, and `BirthRegistered.Child` for the record named
`BirthRegisteredChild`. Deliveries get classes from their delivered schema, where a field that was
cut raises `NotReleased`. No value is ever shown: not by `repr`, not by an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, make_dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, TypeVar

from civicbus_schemas.codec import SchemaDocument
from civicbus_schemas.contract import Contract, nested_record, without_null
from civicbus_schemas.errors import InvalidContract, InvalidEvent, NotReleased
from civicbus_schemas.ids import EventType, Pin

_PIN = re.compile(r"[0-9]{12}")


class Record:
    """A value of one Avro record. Equal when all fields are; sequences are tuples."""

    __slots__ = ()
    parts: ClassVar[tuple[Part, ...]]

    def __post_init__(self) -> None:
        for part in self.parts:
            value = getattr(self, part.name)
            if part.many and isinstance(value, list):
                value = tuple(value)
                object.__setattr__(self, part.name, value)
            if not part.admits(value):
                raise InvalidEvent(
                    f"{type(self).__qualname__}: field {part.name}",
                    got=type(value).__name__,
                    expected=part.expected,
                )

    def __repr__(self) -> str:
        return f"{type(self).__qualname__}(…)"

    def to_datum(self) -> dict[str, Any]:
        """The value as fastavro writes it."""
        return {part.name: part.lower(getattr(self, part.name)) for part in self.parts}

    @classmethod
    def from_datum(cls, datum: Mapping[str, Any]) -> Self:
        """The value of a datum that fastavro read; raises `InvalidEvent`."""
        missing = [part.name for part in cls.parts if part.name not in datum]
        if missing:
            raise InvalidEvent(f"{cls.__qualname__}: fields are missing", expected=missing)
        return cls(**{part.name: part.lift(datum[part.name]) for part in cls.parts})


class Event(Record):
    """A fact that an agency publishes."""

    __slots__ = ()
    contract: ClassVar[Contract]
    event_type: ClassVar[EventType]

    @property
    def key_pin(self) -> Pin:
        """The number of the subject whose pseudonym is the message key."""
        value: Any = self
        for name in self.contract.key_subject.path.split("."):
            value = getattr(value, name)
        return Pin(value)


class Delivered(Record):
    """An event as one recipient gets it; `not_released` fields raise on access."""

    __slots__ = ()
    schema: ClassVar[SchemaDocument]

    if TYPE_CHECKING:  # its fields are those of a schema that only the bus tells

        def __getattr__(self, name: str) -> Any: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One field of a record class: what it admits, and how it becomes a datum and back."""

    name: str
    doc: str
    expected: str
    fits: Callable[[Any], bool]
    nullable: bool
    many: bool
    default: Any = MISSING
    nested: type[Record] | None = None
    annotation: str

    def admits(self, value: Any) -> bool:
        """Whether the field may hold the value."""
        if value is None:
            return self.nullable
        if self.many:
            return isinstance(value, tuple) and all(map(self.fits, value))
        return self.fits(value)

    def lower(self, value: Any) -> Any:
        """The value as a datum."""
        if value is None or not (self.many or self.nested):
            return value
        if self.many:
            return [item.to_datum() for item in value] if self.nested else list(value)
        return value.to_datum()

    def lift(self, datum: Any) -> Any:
        """The datum as a value."""
        if datum is None or self.nested is None:
            return datum
        if self.many:
            return tuple(map(self.nested.from_datum, datum))
        return self.nested.from_datum(datum)


class _NotReleased:
    """Stands where a field was cut."""

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        self._where = where

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise NotReleased(
            f"{self._where} is not released",
            next_step="if your function needs it, ask for it in the agreement",
        )


def event_class(contract: Contract, *, module: str = __name__) -> type[Event]:
    """The class of a contract's events; `module` is where it will be found by name."""
    pins = frozenset(subject.path for subject in contract.subjects)
    build = _Build(root=str(contract.document["name"]), module=module, pins=pins)
    extra = {"contract": contract, "event_type": contract.event_type}
    return build.record_class(contract.document, base=Event, extra=extra)


def delivered_class(schema: SchemaDocument, *, module: str = __name__) -> type[Delivered]:
    """The class of a delivered schema (`delivered.derive_delivered`)."""
    build = _Build(root=str(schema["name"]), module=module)
    return build.record_class(schema, base=Delivered, extra={"schema": schema})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    """Builds the classes of one schema; `pins` are the paths that hold a person's number."""

    root: str
    module: str
    pins: frozenset[str] = frozenset()

    def record_class(
        self,
        schema: SchemaDocument,
        *,
        base: type[R],
        extra: Mapping[str, Any] = MappingProxyType({}),
        prefix: str = "",
        doc: str | None = None,
    ) -> type[R]:
        name = str(schema["name"])
        qualname = name if name == self.root else f"{self.root}.{name.removeprefix(self.root)}"
        parts = tuple(self._part(entry, prefix=prefix) for entry in schema["fields"])
        cut = {n: _NotReleased(f"{qualname}.{n}") for n in schema.get("not_released", ())}
        nested = {p.nested.__name__: p.nested for p in parts if p.nested is not None}
        names = {"__module__": self.module, "__qualname__": qualname, "parts": parts}
        cls: type[R] = make_dataclass(
            qualname.rpartition(".")[2],
            [(p.name, p.annotation, field(default=p.default)) for p in parts],
            bases=(base,),
            namespace=names | {"__doc__": doc or schema.get("doc")} | cut | nested | dict(extra),
            frozen=True,
            slots=True,
            kw_only=True,
            repr=False,
        )
        return cls

    def _part(self, entry: Mapping[str, Any], *, prefix: str) -> Part:
        type_, nullable = without_null(entry["type"])
        many = isinstance(type_, dict) and type_["type"] == "array"
        record = nested_record(type_)
        path = f"{prefix}{entry['name']}"
        if record is not None:
            nested = self.record_class(
                record, base=Record, prefix=path + ("[]." if many else "."), doc=entry.get("doc")
            )
            leaf = _Leaf(nested.__qualname__, nested.__qualname__, _instance_of(nested))
        else:
            nested = None
            leaf = _PIN_LEAF if path in self.pins else _leaf(type_["items"] if many else type_)
        annotation = f"tuple[{leaf.annotation}, ...]" if many else leaf.annotation
        expected = f"a list, each {leaf.expected}" if many else leaf.expected
        default = entry.get("default", MISSING)
        return Part(
            name=str(entry["name"]),
            doc=str(entry.get("doc", "")),
            expected=f"{expected}, or null" if nullable else expected,
            fits=leaf.fits,
            nullable=nullable,
            many=many,
            default=tuple(default) if isinstance(default, list) else default,
            nested=nested,
            annotation=f"{annotation} | None" if nullable else annotation,
        )


@dataclass(frozen=True, slots=True)
class _Leaf:
    annotation: str
    expected: str
    fits: Callable[[Any], bool]


def _instance_of(cls: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, cls)


def _whole(bits: int) -> Callable[[Any], bool]:
    bound = 1 << (bits - 1)
    return lambda value: type(value) is int and -bound <= value < bound


def _aware(value: Any) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


_PIN_LEAF = _Leaf(
    "str",
    "a PIN of 12 digits",
    lambda value: isinstance(value, str) and _PIN.fullmatch(value) is not None,
)
_LEAVES = {
    "string": _Leaf("str", "a text", _instance_of(str)),
    "bytes": _Leaf("bytes", "bytes", _instance_of(bytes)),
    "boolean": _Leaf("bool", "true or false", _instance_of(bool)),
    "int": _Leaf("int", "a whole number of 32 bits", _whole(32)),
    "long": _Leaf("int", "a whole number of 64 bits", _whole(64)),
    "float": _Leaf("float", "a number", _instance_of(float)),
    "double": _Leaf("float", "a number", _instance_of(float)),
    "date": _Leaf("date", "a day", lambda value: type(value) is date),
    "timestamp-micros": _Leaf("datetime", "a time with its zone", _aware),
}


def _leaf(type_: Any) -> _Leaf:
    match type_:
        case str() if type_ in _LEAVES:
            return _LEAVES[type_]
        case {"logicalType": str(name)} if name in _LEAVES:
            return _LEAVES[name]
        case {"type": "enum", "symbols": [*symbols]}:
            return _Leaf("str", f"one of {', '.join(symbols)}", frozenset(symbols).__contains__)
    raise InvalidContract("a field has a type that no event can hold", got=type_)
