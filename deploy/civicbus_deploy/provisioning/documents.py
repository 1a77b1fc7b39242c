"""Files written by people, read strictly: no key twice, and every entry's line is known."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from civicbus_schemas.agreement_document import A_DAY
from civicbus_schemas.errors import BusError, Refused

Location = tuple[str | int, ...]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_WORD = re.compile(r"[A-Za-z][\w.\[\]-]{2,}")


class InvalidNation(Refused):
    """A file of the nation's folder is refused, and with it the whole set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file holds, and on which line each of its entries stands."""

    file: str
    text: str
    content: Any
    lines: Mapping[Location, int]

    def at(self, location: Location) -> str:
        """`file:line` of an entry, or of the nearest one around it."""
        while location not in self.lines and location:
            location = location[:-1]
        return f"{self.file}:{self.lines.get(location, 1)}"

    def near(self, error: BusError) -> str:
        """`file:line` where what the error complains of stands: an entry, or the first such word.

        An entry is named by its path, as in `agreements/x.yaml: valid: from`.
        """
        entry = tuple(error.what.removeprefix(f"{self.file}: ").split(": "))
        if entry in self.lines:
            return self.at(entry)
        blamed = [*_WORD.findall(str(error.got)), *reversed(_WORD.findall(error.what))]
        rows = [row.partition("#")[0] for row in self.text.splitlines()]
        for needle in (needle for word in blamed for needle in self._needles(word)):
            for number, row in enumerate(rows, start=1):
                if re.search(needle, row):
                    return f"{self.file}:{number}"
        return f"{self.file}:1"

    def _needles(self, word: str) -> tuple[str, ...]:
        """How a word of an error is written in this file: in JSON a path is a nested name."""
        if self.file.endswith(".avsc"):
            last = re.escape(word.rpartition(".")[2])
            return f'"name": "{last}"', f'"{last}"'
        return (rf"(?<![\w.-]){re.escape(word)}(?![\w.-])",)


def read_yaml(path: Path, *, root: Path) -> Document:
    """The YAML document in `path`; raises `InvalidNation`."""
    file, text = _read(path, root)
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        lines = dict(_lines(node, file)) if node else {}
        content = loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidNation(
            f"{file}:{line}: not YAML",
            got=error.problem,
            next_step='write a path with [] in quotes, as "parents[].pin"',
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidNation(f"{file}: not YAML", got=str(error).splitlines()[0]) from None
    return Document(file=file, text=text, content=content, lines=lines)


def read_text(path: Path, *, root: Path) -> Document:
    """The text in `path` as it stands; raises `InvalidNation`."""
    file, text = _read(path, root)
    return Document(file=file, text=text, content=text, lines={})


def read_json(path: Path, *, root: Path) -> Document:
    """The JSON document in `path`; raises `InvalidNation`."""
    file, text = _read(path, root)

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        if repeated:
            raise InvalidNation(f"{file}: a key is given twice", got=repeated)
        return dict(pairs)

    try:
        content = json.loads(text, object_pairs_hook=distinct)
    except json.JSONDecodeError as error:
        raise InvalidNation(f"{file}:{error.lineno}: not JSON", got=error.msg) from None
    return Document(file=file, text=text, content=content, lines={})


def _read(path: Path, root: Path) -> tuple[str, str]:
    file = str(path.relative_to(root))
    try:
        return file, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidNation(
            f"{file} cannot be read", got=type(error).__name__, expected="a file in UTF-8"
        ) from None


def _lines(node: yaml.Node, file: str, location: Location = ()) -> Any:
    """The line of every entry; refuses keys given twice, which PyYAML would let win silently."""
    line = node.start_mark.line + 1
    yield location, line
    if isinstance(node, yaml.ScalarNode) and node.tag == _TIMESTAMP and not _is_day(node.value):
        raise InvalidNation(
            f"{file}:{line}: {': '.join(map(str, location))}",
            got=ascii(node.value),
            expected=A_DAY,
            next_step="correct the file; nothing was changed",
        )
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, file, (*location, index))
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise InvalidNation(
                    f"{file}:{key.start_mark.line + 1}: key {key.value!a} is given twice",
                    next_step="keep one of them",
                )
            seen.add(key.value)
            yield from _lines(value, file, (*location, key.value))


def _is_day(text: str) -> bool:
    """Whether it is a day of the calendar; YAML takes months of any length, and times of day."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
