"""What a decision read, as it is sealed beside its record, and read again for a replay. Pure.

Consents are sealed along, because the state topic keeps only the newest: those for the recipient
and purpose, which are all that a decision reads, and only where the agreement needs consent. Of
counted ones it is sealed which had a use reserved, since the state does not tell.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from civicbus_schemas.agreement import Agreement
from civicbus_schemas.codec import canonical_json
from civicbus_schemas.consent import NO_CONSENTS, Consent, SubjectConsents
from civicbus_schemas.contract import Contract
from civicbus_schemas.decision import Facts
from civicbus_schemas.errors import InvalidBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A sealed part's contents: one document for the facts, and the consents that were read."""

    facts: Mapping[str, Any] | None
    consents: SubjectConsents
    reserved: frozenset[str] = frozenset()

    def has_use(self, agreement: Agreement, consent: Consent) -> bool:
        """Whether a use of this consent was reserved (`access.decide.HasUse`)."""
        del agreement  # the sealed part is of one decision
        return consent.id in self.reserved


def facts_secret(
    facts: Facts,
    consents: SubjectConsents = NO_CONSENTS,
    *,
    reserved: frozenset[str] = frozenset(),
) -> bytes:
    """The facts of one decision, and the consents it read, for the sealed part."""
    read = consents_document(consents, reserved=reserved)
    return canonical_json({"facts": facts_document(facts), **read})


def facts_document(facts: Facts) -> dict[str, Any]:
    """Facts as JSON; all values are texts."""
    return {
        "contract": facts.contract,
        "event_type": facts.event_type,
        "provider": facts.provider,
        "values": {path: [_text(v) for v in values] for path, values in facts.values.items()},
    }


def consents_document(
    consents: SubjectConsents, *, reserved: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The members that hold consents, and the ids of those with a use; where there are any."""
    document: dict[str, Any] = {"consents": consents.to_json()} if consents.consents else {}
    return document | ({"reserved": sorted(reserved)} if reserved else {})


def with_use(consents: SubjectConsents, has_use: Callable[[Consent], bool]) -> frozenset[str]:
    """The ids of those counted consents of which a use is reserved."""
    return frozenset(c.id for c in consents.consents if c.uses is not None and has_use(c))


def open_secret(secret: bytes) -> Sealed:
    """The contents of a sealed part; `facts` is None where it holds none. Raises `InvalidBytes`."""
    try:
        document = json.loads(secret)
        return Sealed(
            facts=document.get("facts"),
            consents=SubjectConsents.from_json(document.get("consents", [])),
            reserved=frozenset(document.get("reserved", ())),
        )
    except (ValueError, AttributeError, TypeError):
        raise InvalidBytes("a sealed part does not hold what this version seals") from None


def read_facts(document: Mapping[str, Any], contract: Contract) -> Facts:
    """The facts in a document, their values as the contract types them; raises `InvalidBytes`."""
    try:
        return Facts(
            provider=document["provider"],
            event_type=document["event_type"],
            contract=document["contract"],
            values={
                path: tuple(_value(text, contract.fields[path].type) for text in texts)
                for path, texts in document["values"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidBytes("facts do not fit their contract", got=contract.event_type) from None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _value(text: str | None, type_: Any) -> date | str | None:
    """Conditions read days (and texts); a fact of another type is not one that we sealed."""
    if text is None or type_ == "string":
        return text
    if type_ == {"type": "int", "logicalType": "date"}:
        return date.fromisoformat(text)
    raise ValueError(type_)
