"""An act upon saved queries, read strictly. Pure.

save  {"title": "…", "find": {…}}, and "saved": <its id> for its next version
run   {"saved": <id>, "purpose": …, "case": …, "limit": …, "cursor": …}, the last three if wanted
drop  {"saved": <id>}        list  {}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from civicbus_schemas.errors import InvalidIdentifier
from civicbus_schemas.ids import hex_id

from civicbus_consumers.lookup.request import json_object
from civicbus_consumers.officers.problems import malformed
from civicbus_consumers.officers.request import Asked, asked_of, only, parse_find, parse_text
from civicbus_consumers.officers.rules import Find
from civicbus_consumers.officers.saved.acts import Act, Demand

_PERSONAL = ("pin", "officer", "record")


def parse_demand(act: Act, body: bytes) -> Demand:
    """The act in a JSON body, but for `run`; raises `Problem` with `malformed-query`."""
    document = json_object(body)
    match act:
        case Act.SAVE:
            only(document, {"saved", "title", "find"}, where="body")
            return Demand(
                act=act,
                saved=_id(document["saved"]) if "saved" in document else None,
                title=parse_text("title", document.get("title")),
                find=_find(document.get("find")),
            )
        case Act.DROP:
            only(document, {"saved"}, where="body")
            return Demand(act=act, saved=_id(document.get("saved")))
        case _:
            only(document, set(), where="body")
            return Demand(act=act)


def parse_run(body: bytes) -> tuple[Demand, Asked]:
    """Which query is run, and the question but for what it looks for; raises `Problem`."""
    document = json_object(body)
    only(document, {"saved", "purpose", "case", "limit", "cursor"}, where="body")
    return Demand(act=Act.RUN, saved=_id(document.get("saved"))), asked_of(document, Find())


def _find(document: Any) -> Find:
    if not isinstance(document, Mapping):
        raise malformed(
            "find",
            got=type(document).__name__,
            expected="an object of what to look for",
            next_step="fill in find",
        )
    find = parse_find(document)
    for name in _PERSONAL:
        if getattr(find, name) is not None:
            raise malformed(
                f"find.{name}",
                got="one person, or one record",
                expected="nobody: who looks at one person asks it anew, in a case, each time",
                next_step="leave it out, and ask that question by itself",
            )
    return find


def _id(value: Any) -> str:
    try:
        return hex_id(value if isinstance(value, str) else "", what="saved query")
    except InvalidIdentifier:
        raise malformed(
            "saved",
            got=type(value).__name__,
            expected="32 hex characters, as the list has them",
            next_step="correct saved",
        ) from None
