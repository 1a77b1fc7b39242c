"""What a page's form posts, read strictly. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl

from civicbus_consumers.officers.problems import malformed
from civicbus_consumers.officers.request import Asked, parse_asked
from civicbus_consumers.officers.rules import QueryPurpose, Role

MAX_FORM_BYTES = 8 * 1024
FORM = "application/x-www-form-urlencoded"
PAGE_ROWS = 25

ASKED = ("token", "pin", "agency", "agency_case", "flag", "purpose", "case")
"""What a question is asked by; the forms for more of an answer bring it again."""

_FIND = {"pin": "pin", "agency": "agency", "agency_case": "case", "flag": "flag"}
_FIELDS = {*ASKED, "lang", "cursor", "record", "shown"}


def parse_form(body: bytes) -> Mapping[str, str]:
    """The fields that are filled in; raises `Problem` for one that is unknown or comes twice."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), strict_parsing=bool(body), errors="strict", max_num_fields=16
        )
    except (ValueError, UnicodeError):
        pairs = [("", "")]
    names = [name for name, _ in pairs]
    if not set(names) <= _FIELDS or len(set(names)) < len(names):
        raise malformed(
            "form",
            got="other fields than this page has",
            expected=", ".join(sorted(_FIELDS)),
            next_step="open the page anew and use its form",
        )
    return {name: value.strip() for name, value in pairs if value.strip()}


def authorization(form: Mapping[str, str]) -> str | None:
    """The posted token as an `Authorization` header would bring it."""
    return f"Bearer {form['token']}" if "token" in form else None


def asked_by(form: Mapping[str, str], role: Role) -> Asked:
    """The question of a form; a citizen's purpose is always the same. Raises `Problem`."""
    purpose = QueryPurpose.OWN_DATA if role is Role.CITIZEN else form.get("purpose")
    document = {
        "purpose": purpose,
        "find": {member: form[name] for name, member in _FIND.items() if name in form},
        "limit": PAGE_ROWS,
        **{name: form[name] for name in ("case", "cursor") if name in form},
    }
    return parse_asked(json.dumps(document).encode())
