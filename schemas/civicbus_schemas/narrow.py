"""Numbers that Avro calls `int` and fastavro reads as 64 bits: whether they are within 32.

Avro 1.12 specification, Primitive Types: an `int` is a 32-bit signed integer. What another reader
could not read must not be read here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]


def find_check(schema: Any) -> Check | None:
    """Whether every `int` of a datum is within 32 bits; None where the schema holds none.

    Followed are records, arrays and `[null, X]`: what contracts are made of. A foreign schema's
    other unions and references are not: a contract drops what they hold.
    """
    match schema:
        case "int" | {"type": "int"}:
            return _is_narrow
        case [*branches]:
            kinds = [branch for branch in branches if branch != "null"]
            inner = find_check(kinds[0]) if len(kinds) == 1 else None
            return None if inner is None else _of_present(inner)
        case {"type": "array", "items": items}:
            inner = find_check(items)
            return None if inner is None else _of_each(inner)
        case {"type": "record", "fields": [*fields]}:
            checks = [(field["name"], find_check(field["type"])) for field in fields]
            return _of_fields([(name, check) for name, check in checks if check is not None])
    return None


def _is_narrow(value: Any) -> bool:
    """Days and times of day, which are written as `int` too, were read as such."""
    return not isinstance(value, int) or -(1 << 31) <= value < 1 << 31


def _of_present(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _of_each(check: Check) -> Check:
    return lambda items: all(map(check, items))


def _of_fields(checks: list[tuple[str, Check]]) -> Check | None:
    if not checks:
        return None
    return lambda datum: all(check(datum[name]) for name, check in checks)
