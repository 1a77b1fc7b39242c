"""Writes `events.pyi` beside a nation's event classes: `python -m civicbus_schemas.stubs [nation]`.

The stub is generated at set-up and never committed; the contracts are the source.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import MISSING
from importlib import import_module
from pathlib import Path

from civicbus_schemas.event import Event, Part, Record
from civicbus_schemas.nation import DEFAULT_NATION

_HEAD = '''\
"""Generated from the contracts by `python -m civicbus_schemas.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from civicbus_schemas.event import Event, Record
from civicbus_schemas.ids import EventType

EVENT_CLASSES: Mapping[EventType, type[Event]]
'''


def stub(classes: list[type[Event]]) -> str:
    """The text of the stub for these classes."""
    bodies = ("\n".join(_class(cls, base="Event")) for cls in classes)
    return "\n\n".join([_HEAD, *bodies]) + "\n"


def _class(cls: type[Record], *, base: str) -> Iterator[str]:
    yield "@dataclass(frozen=True, slots=True, kw_only=True, init=False, repr=False)"
    yield f"class {cls.__name__}({base}):"
    yield f"    {_docstring(cls.__doc__ or 'Part of the event.')}"
    for part in cls.parts:
        if part.nested is not None:
            yield from (f"    {line}" for line in _class(part.nested, base="Record"))
    for part in cls.parts:
        yield f"    {part.name}: {part.annotation}"
        yield f"    {_docstring(part.doc)}"
    yield "    def __init__("
    yield "        self,"
    yield "        *,"
    yield from (f"        {_argument(part)}," for part in cls.parts)
    yield "    ) -> None: ..."


def _argument(part: Part) -> str:
    """A parameter; any sequence may be given for a field that is stored as a tuple."""
    given = part.annotation
    if part.many:
        given = given.replace("tuple[", "Sequence[").replace(", ...]", "]")
    return f"{part.name}: {given}" + ("" if part.default is MISSING else " = ...")


def _docstring(text: str) -> str:
    return '"""' + text.replace("\\", "\\\\").replace('"', '\\"') + '"""'


def main(arguments: list[str]) -> int:
    """Write the stub of the nation named, or of the default one."""
    nation = arguments[0] if arguments else DEFAULT_NATION
    events = import_module(f"civicbus_schemas.{nation}.events")
    target = Path(str(events.__file__)).with_suffix(".pyi")
    target.write_text(stub(list(events.EVENT_CLASSES.values())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
