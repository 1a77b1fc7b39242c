"""Asking the officers' process of this stack: tokens of its issuers, and what an answer means."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from civicbus_consumers.officers.rules import Role
from civicbus_consumers.officers.token import MAX_NAME, make_pass
from civicbus_consumers.recording.signing import read_signing_key
from civicbus_schemas.errors import Misused, Refused, Unavailable
from civicbus_schemas.ids import Pin, agency_id

from civicbus_deploy.embedded.keys import INSPECTORS, REGISTRAR
from civicbus_deploy.embedded.state import StateFolder

OK, MALFORMED, NOT_NOW = 200, 400, 503
_MEMBER = re.compile(r"`(\w+)`|\bfind\.(\w+)")


def token_of(folder: StateFolder, role: Role, name: str, *, issuer: str | None) -> str:
    """A token of the issuer that vouches for the role; raises `Refused`.

    Raises `InvalidIdentifier` or `Misused` for a name that no token can carry.
    """
    if role is Role.CITIZEN:
        Pin(name)
    elif not 0 < len(name.strip()) <= MAX_NAME:
        raise Misused("nobody has this id", expected=f"1 to {MAX_NAME} characters in --name")
    if issuer is None and role is Role.AUDITOR:
        raise Misused("an auditor is some agency's", expected="--issuer AGENCY")
    body = agency_id(issuer or (REGISTRAR if role is Role.CITIZEN else INSPECTORS))
    file = folder.secrets / f"officers-{body}.pem"
    if not file.exists():
        raise Refused("this stack has no such issuer", got=body, next_step="civicbus up")
    key, _ = read_signing_key(file)
    return make_pass(body, key, sub=name, role=role, now=time.time())


def answered(status: int, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document, if it is an answer; raises `Refused`, `Misused` or `Unavailable`."""
    if status == OK:
        return document
    expected, detail = document.get("expected"), str(document.get("detail", "")).rstrip(".")
    got = f"{document.get('code')} ({status})"
    raise {NOT_NOW: Unavailable, MALFORMED: Misused}.get(status, Refused)(
        str(document.get("title")),
        got=f"{got}, {document['got']}" if "got" in document else got,
        expected=None if expected is None else _as_options(str(expected)),
        next_step=_as_options(str(document.get("next_step") or detail)) or None,
    )


def _as_options(text: str) -> str:
    """Members of a question as the options that fill them in; an agency's case is not one's own."""
    text = text.replace("find.case", "--agency-case")
    return _MEMBER.sub(lambda named: f"--{named[1] or named[2]}", text)
