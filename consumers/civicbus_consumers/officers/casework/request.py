"""An act upon a case, read strictly. Pure.

open    {"case": <32 hex characters that the caller draws>, "text": "what it is about"}
assign  {"case": …, "assignee": "tt-0043"}        link   {"case": …, "record": <record id>}
note    {"case": …, "text": "…"}                  close  {"case": …, "text": "why"}
list    {}
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.ids import RecordId, hex_id

from civicbus_consumers.lookup.request import json_object
from civicbus_consumers.officers.casework.acts import Act, Demand
from civicbus_consumers.officers.problems import malformed
from civicbus_consumers.officers.token import MAX_NAME

MAX_TEXT = 4000
_NEEDED: Mapping[Act, tuple[str, ...]] = {
    Act.OPEN: ("case", "text"),
    Act.ASSIGN: ("case", "assignee"),
    Act.LINK: ("case", "record"),
    Act.NOTE: ("case", "text"),
    Act.CLOSE: ("case", "text"),
    Act.LIST: (),
}


def parse_demand(act: Act, body: bytes) -> Demand:
    """The act in a JSON body; raises `Problem` with `malformed-query`."""
    document, needed = json_object(body), _NEEDED[act]
    if document.keys() != set(needed):
        raise malformed(
            "body",
            got="other members",
            expected=f"exactly {', '.join(needed)}" if needed else "no members",
            next_step="correct it; what is not known is never passed over",
        )
    return Demand(act=act, **{name: _READERS[name](name, document[name]) for name in needed})


def _text(limit: int) -> Callable[[str, Any], str]:
    def read(name: str, value: Any) -> str:
        text = unicodedata.normalize("NFC", value).strip() if isinstance(value, str) else ""
        printable = all(c == "\n" or unicodedata.category(c)[0] != "C" for c in text)
        if not 0 < len(text) <= limit or not printable:
            raise malformed(
                name,
                got=f"{len(value)} characters" if isinstance(value, str) else type(value).__name__,
                expected=f"a text of 1 to {limit} characters",
                next_step=f"correct {name}",
            )
        return text

    return read


def _id(name: str, value: Any) -> str:
    try:
        return hex_id(value if isinstance(value, str) else "", what=name)
    except InvalidIdentifier:
        raise malformed(
            name,
            got=type(value).__name__,
            expected="32 hex characters",
            next_step=f"correct {name}",
        ) from None


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "case": _id,
    "text": _text(MAX_TEXT),
    "assignee": _text(MAX_NAME),
    "record": lambda name, value: RecordId(_id(name, value)),
}
