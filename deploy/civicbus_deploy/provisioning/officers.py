"""The officers of an embedded stack: their keys, whom the bus trusts, and what they have signed.

A deployment keeps officers' keys with the officers, and gives a key by `--key`; then only the
public halves stand here. What was signed lies in `policy/statements.jsonl`, one statement a line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from civicbus_consumers.recording.signing import read_signing_key
from civicbus_consumers.runtime.trust import read_trust
from civicbus_producers.settings import InvalidSettings
from civicbus_schemas.agreement import Agreement
from civicbus_schemas.errors import Refused
from civicbus_schemas.statement import Party, Statement, Trust, Word, check_reason, parse_statement

from civicbus_deploy.embedded import secrets
from civicbus_deploy.embedded.keys import policy_keys_file
from civicbus_deploy.embedded.state import StateFolder, read_json, write_json

ANNOUNCER = "announcer.pem"


def key_file(folder: StateFolder, party: Party) -> Path:
    """Where an embedded stack keeps an officer's key."""
    return folder.secrets / f"officer-{party.agency}-{party.role}.pem"


def appoint(folder: StateFolder, parties: Iterable[Party]) -> None:
    """Make a key for each party that has none here and none that is trusted, and trust it."""
    announcer = secrets.get_or_create(folder.home, ANNOUNCER, secrets.ed25519_pem)
    known = read_json(policy_keys_file(folder))
    officers = dict(known.get("officers", {}))
    held = {(body["agency"], body["role"]) for body in officers.values()}
    for party in sorted(set(parties)):
        if party in held:
            continue
        name = key_file(folder, party).name
        key, key_id = read_signing_key(
            secrets.get_or_create(folder.home, name, secrets.ed25519_pem)
        )
        public = key.public_key().public_bytes_raw().hex()
        officers[key_id] = {"agency": party.agency, "role": party.role, "public_key": public}
    key, key_id = read_signing_key(announcer)
    announcers = {**known.get("announcers", {}), key_id: key.public_key().public_bytes_raw().hex()}
    document = {"announcers": announcers, "officers": officers}
    if document != known:
        write_json(policy_keys_file(folder), document)


def sign(
    agreement: Agreement,
    word: Word,
    *,
    party: Party,
    key_file: Path,
    trust: Trust,
    reason: str | None = None,
) -> Statement:
    """The officer's statement about this agreement's very terms.

    Raises `Refused` where the party is none of the agreement's, or the key is not its officer's.
    """
    if party not in agreement.approved_by:
        raise Refused(
            f"{party} is no party of {agreement.ref}",
            expected=[str(known) for known in agreement.approved_by],
        )
    if not key_file.exists():
        raise InvalidSettings(f"no key of {party} here", expected=str(key_file),
                              next_step="name the officer's key with --key")  # fmt: skip
    key, key_id = read_signing_key(key_file)
    unsigned = Statement(
        word=word,
        agreement=agreement.ref,
        terms=agreement.terms,
        party=party,
        at=datetime.now(UTC),
        key=key_id,
        reason=check_reason(reason),
    )
    statement = replace(unsigned, signature=key.sign(unsigned.signed_bytes()).hex())
    if not trust.vouches(statement):
        raise Refused(
            f"this key is not trusted for {party}",
            got=f"key {key_id}",
            next_step="let the operator add its public half to keys/policy.json",
        )
    return statement


def approve_all(folder: StateFolder, agreements: Iterable[Agreement]) -> list[Statement]:
    """Approvals of both parties by the keys of this stack."""
    trust = trust_of(folder)
    return [
        sign(agreement, Word.APPROVE, party=party, key_file=key_file(folder, party), trust=trust)
        for agreement in agreements
        for party in agreement.approved_by
    ]


def trust_of(folder: StateFolder) -> Trust:
    """Whom this stack trusts."""
    return read_trust(policy_keys_file(folder))


def read_statements(folder: StateFolder) -> list[Statement]:
    """All that was signed here; raises `InvalidAgreement` for a damaged line."""
    try:
        lines = _register(folder).read_text().splitlines()
    except FileNotFoundError:
        return []
    return [parse_statement(json.loads(line)) for line in lines]


def keep_statements(folder: StateFolder, statements: Iterable[Statement]) -> None:
    """Append to the register, durably."""
    path = _register(folder)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    lines = "".join(json.dumps(s.document(), ensure_ascii=False) + "\n" for s in statements)
    with path.open("a") as register:
        register.write(lines)
        register.flush()
        os.fsync(register.fileno())


def _register(folder: StateFolder) -> Path:
    return folder.home / "policy" / "statements.jsonl"
