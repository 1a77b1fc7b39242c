"""Keyed names of a person: one for topics, one per recipient; the ledger's come from the vault.

All are the first 16 bytes of HMAC-SHA256(key, scheme ‖ 0x00 ‖ number) as 32 lower-case hex
characters (DESIGN: keys). Different keys make them unlinkable to whoever lacks the keys.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NewType

from civicbus_schemas.ids import AgreementRef, EventId, Pin

TopicPseudonym = NewType("TopicPseudonym", str)
LedgerPseudonym = NewType("LedgerPseudonym", str)
PairwisePseudonym = NewType("PairwisePseudonym", str)

SCHEME_VN_PIN = "vn-pin"


def _keyed(key: bytes, scheme: str, value: str) -> str:
    message = scheme.encode() + b"\x00" + value.encode()
    return hmac.digest(key, message, hashlib.sha256)[:16].hex()


def topic_pseudonym(key: bytes, pin: Pin) -> TopicPseudonym:
    """The key of the subject's events on source topics and of its consent state."""
    return TopicPseudonym(_keyed(key, SCHEME_VN_PIN, pin.number))


def pairwise_pseudonym(key: bytes, number: str) -> PairwisePseudonym:
    """What one recipient sees instead of a PIN; `key` is that recipient's (`keyring`)."""
    return PairwisePseudonym(_keyed(key, SCHEME_VN_PIN, number))


def delivery_id(key: bytes, source_id: EventId, agreement: AgreementRef) -> EventId:
    """The ce_id of a delivery: HMAC of source id and agreement under the recipient's key."""
    return EventId(_keyed(key, "delivery", f"{source_id}\x00{agreement}"))


def notice_id(key: bytes, source_id: EventId, agreement: AgreementRef) -> EventId:
    """The ce_id of a notice: no delivery of the same event, tried before or after, shares it."""
    return EventId(_keyed(key, "withheld", f"{source_id}\x00{agreement}"))
