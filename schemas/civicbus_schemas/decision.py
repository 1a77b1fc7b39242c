"""What a decision reads, and what it says. A denial is a value, never an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from civicbus_schemas.consent import Consent
from civicbus_schemas.ids import AgencyId, AgreementRef, EventType, Fingerprint
from civicbus_schemas.vocabulary import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything `decide` reads besides the plan, the consents and the time.

    `values` holds, per path that a condition reads, the values found there. Facts are sealed with
    the record, so that a decision can be replayed after its source has expired.
    """

    provider: AgencyId
    event_type: EventType
    contract: Fingerprint
    values: Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """The agreement's fields may be released, on this consent where one is needed."""

    agreement: AgreementRef
    consent: Consent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """Nothing may be released under this agreement, for this reason. Final.

    `rule` names the national rule that forbade it, where one did.
    """

    agreement: AgreementRef
    reason: Reason
    rule: str | None = None
    consent: Consent | None = None


Decision = Permit | Deny
