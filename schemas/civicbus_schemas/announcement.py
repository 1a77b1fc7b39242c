"""The announcement: one policy set as it travels on `state.policy.v1`, signed by who announces it.

The set's own bytes stand inside unchanged, for their SHA-256 is the policy version. An announcement
is opened whole or refused whole: the announcer's signature, each officer's, and that both parties
have approved each agreement.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from civicbus_schemas.codec import canonical_json
from civicbus_schemas.errors import InvalidAgreement
from civicbus_schemas.policy import PolicySet, parse_policy_set
from civicbus_schemas.statement import Standing, Trust
from civicbus_schemas.terms import exactly

_DOMAIN = b"civicbus.policy.v1\x00"


def seal_announcement(policy: bytes, *, key: str, sign: Callable[[bytes], bytes]) -> bytes:
    """The announcement of a policy set's bytes, signed with the key of that id."""
    signature = sign(_DOMAIN + policy).hex()
    return canonical_json({"policy": json.loads(policy), "key": key, "signature": signature})


def read_announced(data: bytes) -> bytes:
    """The policy set's bytes in an announcement, unchecked; raises `InvalidAgreement`."""
    return canonical_json(_document(data)["policy"])


def open_announcement(data: bytes, trust: Trust) -> PolicySet:
    """The policy set in an announcement that can be trusted; raises `InvalidAgreement`.

    1. the announcer's signature, 2. the set is sound, 3. every statement is an officer's of its
    party, 4. no agreement is a draft.
    """
    document = _document(data)
    policy_bytes = canonical_json(document["policy"])
    announcer = trust.announcers.get(str(document["key"]))
    if announcer is None or not _signed(
        document, policy_bytes, announcer=announcer, trust=trust
    ):  # 1
        raise InvalidAgreement(
            "the policy set is not signed by who may announce it",
            got=f"key {document['key']!a}"[:40],
            expected=sorted(trust.announcers),
        )
    policy = parse_policy_set(policy_bytes)  # 2
    for statement in policy.statements:
        if not trust.vouches(statement):  # 3
            raise InvalidAgreement(
                f"{statement.agreement}: the statement of {statement.party} is not genuine",
                got=f"key {statement.key}",
                expected="the signature of an officer of that party",
            )
    for agreement in policy.agreements:
        if agreement.standing is Standing.DRAFT:  # 4
            raise InvalidAgreement(
                f"{agreement.ref} is a draft",
                expected=f"approved by {' and '.join(map(str, agreement.approved_by))}",
                next_step="let both approve these very terms: `civicbus agreement approve`",
            )
    return policy


def _document(data: bytes) -> dict[str, Any]:
    try:
        document: Any = json.loads(data)
        one_spelling = canonical_json(document) == data
    except (ValueError, RecursionError):
        raise InvalidAgreement("the announcement is not JSON") from None
    exactly(document, {"policy", "key", "signature"}, where="the announcement")
    if not one_spelling:
        raise InvalidAgreement(
            "the announcement is not in its one spelling", expected="RFC 8785, no key twice"
        )
    return dict(document)


def _signed(document: dict[str, Any], policy: bytes, *, announcer: bytes, trust: Trust) -> bool:
    try:
        signature = bytes.fromhex(str(document["signature"]))
    except ValueError:
        return False
    return trust.verify(announcer, _DOMAIN + policy, signature)
