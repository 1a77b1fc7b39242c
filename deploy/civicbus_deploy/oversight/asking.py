"""Asking the officers' process of this stack: tokens of its issuers, and what an answer means."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from civicbus_consumers.officers.rules import Role
from civicbus_consumers.officers.token import make_pass
from civicbus_consumers.recording.signing import read_signing_key
from civicbus_schemas.errors import Refused, Unavailable
from civicbus_schemas.ids import agency_id

from civicbus_deploy.embedded.keys import INSPECTORS, REGISTRAR
from civicbus_deploy.embedded.state import StateFolder

OK, NOT_NOW = 200, 503


def token_of(folder: StateFolder, role: Role, name: str, *, issuer: str | None) -> str:
    """A token of the issuer that vouches for the role; raises `Refused`."""
    if issuer is None and role is Role.AUDITOR:
        raise Refused("an auditor is some agency's", expected="--issuer AGENCY")
    body = agency_id(issuer or (REGISTRAR if role is Role.CITIZEN else INSPECTORS))
    file = folder.secrets / f"officers-{body}.pem"
    if not file.exists():
        raise Refused("this stack has no such issuer", got=body, next_step="civicbus up")
    key, _ = read_signing_key(file)
    return make_pass(body, key, sub=name, role=role, now=time.time())


def answered(status: int, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document, if it is an answer; raises `Refused`, or `Unavailable`."""
    if status == OK:
        return document
    raise (Unavailable if status == NOT_NOW else Refused)(
        str(document.get("title")),
        got=f"{document.get('code')} ({status})",
        expected=document.get("expected"),
        next_step=document.get("next_step") or str(document.get("detail", "")).rstrip(".") or None,
    )
