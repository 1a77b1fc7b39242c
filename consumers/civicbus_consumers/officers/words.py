"""Titles for people: agencies, purposes and legal bases, as the announced policy sets name them.

All sets that were ever announced are read, since old leaves name what is no longer in force; where
two differ, the newer one counts. What no set names is told by its id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from civicbus_schemas.errors import Stopped

from civicbus_consumers.officers.rules import QueryPurpose

Titles = Mapping[str, str]
"""A text per language."""

_OWN: Mapping[str, Titles] = {
    QueryPurpose.COMPLAINT: {"vi": "Giải quyết khiếu nại", "en": "A complaint"},
    QueryPurpose.INSPECTION: {"vi": "Thanh tra, kiểm tra", "en": "An inspection"},
    QueryPurpose.INCIDENT: {"vi": "Xử lý sự cố", "en": "An incident"},
    QueryPurpose.COURT_ORDER: {"vi": "Yêu cầu của tòa án", "en": "A court's order"},
    QueryPurpose.SUPERVISION: {"vi": "Giám sát cán bộ thanh tra", "en": "Supervision of officers"},
    QueryPurpose.OWN_AGENCY: {"vi": "Kiểm tra trong cơ quan", "en": "Audit of one's own agency"},
    QueryPurpose.OWN_DATA: {"vi": "Xem ai đã đọc dữ liệu của mình", "en": "One's own data"},
}


@dataclass(slots=True)
class WordBook:
    """The titles in a folder of policy sets, read again when the folder changes."""

    folder: Path
    _seen: tuple[tuple[str, int], ...] = field(default=(), init=False)
    _words: Mapping[str, Mapping[str, Titles]] = field(default_factory=dict, init=False)

    def agency(self, id_: str, language: str) -> str:
        """An agency's name."""
        return self._title("agencies", id_, language)

    def purpose(self, id_: str, language: str) -> str:
        """What a purpose is called."""
        own = _OWN.get(id_)
        return own[language] if own else self._title("purposes", id_, language)

    def basis(self, id_: str, language: str) -> str:
        """What a legal basis is called."""
        return self._title("bases", id_, language)

    def _title(self, kind: str, id_: str, language: str) -> str:
        found = self._current().get(kind, {}).get(id_)
        return found.get(language, id_) if found else id_

    def _current(self) -> Mapping[str, Mapping[str, Titles]]:
        files = sorted(self.folder.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
        seen = tuple((file.name, file.stat().st_mtime_ns) for file in files)
        if seen != self._seen:
            self._words, self._seen = _merged(map(_read, files)), seen
        return self._words


def _read(file: Path) -> Mapping[str, Any]:
    try:
        document: Mapping[str, Any] = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise Stopped(f"{file} is no policy set", got=type(error).__name__) from None
    return document


def _merged(sets: Iterable[Mapping[str, Any]]) -> Mapping[str, Mapping[str, Titles]]:
    words: dict[str, dict[str, Titles]] = {"agencies": {}, "purposes": {}, "bases": {}}
    for one in sets:
        for kind, member in (("agencies", "names"), ("purposes", "titles"), ("bases", "titles")):
            words[kind] |= {id_: body[member] for id_, body in one[kind].items()}
    return words
