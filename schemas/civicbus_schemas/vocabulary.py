"""The code's own closed vocabularies; purposes, bases and agencies are data (`policy`)."""

from __future__ import annotations

from enum import StrEnum


class Sensitivity(StrEnum):
    """How a field is protected by law (Law 91/2025; Decree 356/2025)."""

    BASIC = "basic"
    SENSITIVE = "sensitive"


class ConsentRule(StrEnum):
    """Whether an agreement rests on the citizen's consent."""

    REQUIRED = "required"
    NOT_REQUIRED = "not-required"


class WhenWithheld(StrEnum):
    """What a recipient is told when an event is withheld from it."""

    SILENT = "silent"
    NOTIFY = "notify"


class ConsentStatus(StrEnum):
    """Where a consent stands that was given once."""

    GIVEN = "given"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"


class UsePeriod(StrEnum):
    """The period within which the uses of a consent are counted, by the nation's calendar."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class ConsentAct(StrEnum):
    """What is done to a consent: asked for by a recipient, everything else by the citizen."""

    REQUEST = "request"
    GIVE = "give"
    REFUSE = "refuse"
    RENEW = "renew"
    PAUSE = "pause"
    RESUME = "resume"
    WITHDRAW = "withdraw"


class Access(StrEnum):
    """How look-ups under an agreement are made, and when the citizen sees them."""

    ORDINARY = "ordinary"
    BREAK_GLASS = "break-glass"
    DEFERRED = "deferred"


class RecordKind(StrEnum):
    """What a leaf of the ledger tells. `consent.<act>`: that act was accepted, or refused."""

    PAGE = "page"
    ACCESS_DECISION = "access.decision"
    ACCESS_DEFERRED = "access.deferred"
    BREAK_GLASS_REVIEW = "break-glass.review"
    CASE_CLOSED = "case.closed"
    OFFICER_QUERY = "officer.query"
    CITIZEN_QUERY = "citizen.query"
    OFFICER_EXPORT = "officer.export"
    OFFICER_CASE = "officer.case"
    OFFICER_SAVED = "officer.saved"
    FLAG_RAISED = "flag.raised"
    FLAG_LABELLED = "flag.labelled"
    FLAG_CLOSED = "flag.closed"
    SUBJECT_ERASURE = "subject.erasure"
    PART_UNSEALING = "part.unsealing"
    RETENTION_PRUNE = "retention.prune"
    DEAD_LETTER = "dead.letter"
    LOG_GAP = "log.gap"
    INDEX_COMMIT = "index.commit"
    WITHDRAWAL_TOLD = "withdrawal.told"
    POLICY_SET = "policy.set"
    CONSENT_REQUEST = "consent.request"
    CONSENT_GIVE = "consent.give"
    CONSENT_REFUSE = "consent.refuse"
    CONSENT_RENEW = "consent.renew"
    CONSENT_PAUSE = "consent.pause"
    CONSENT_RESUME = "consent.resume"
    CONSENT_WITHDRAW = "consent.withdraw"


DECISION_KINDS = (RecordKind.ACCESS_DECISION, RecordKind.ACCESS_DEFERRED)
"""The kinds of leaves that record a decision about somebody's data."""

ORDER_KINDS = (
    RecordKind.SUBJECT_ERASURE,
    RecordKind.PART_UNSEALING,
    RecordKind.RETENTION_PRUNE,
)
"""The kinds of leaves that record what two officials ordered."""

TRAIL_KINDS = (
    RecordKind.OFFICER_QUERY,
    RecordKind.OFFICER_EXPORT,
    RecordKind.OFFICER_CASE,
    RecordKind.OFFICER_SAVED,
    *ORDER_KINDS,
)
"""The kinds of leaves that record what officials asked of the ledger itself, or did about it."""

QUERY_KINDS = (*TRAIL_KINDS, RecordKind.CITIZEN_QUERY)
"""The same of officials and citizens."""

FLAG_KINDS = (RecordKind.FLAG_RAISED, RecordKind.FLAG_LABELLED, RecordKind.FLAG_CLOSED)
"""The kinds of leaves that tell the life of a flag; each names the reading that raised it."""


class Outcome(StrEnum):
    """What was decided."""

    PERMIT = "permit"
    DENY = "deny"
    ERROR = "error"
    BREAKGLASS = "breakglass"

    @property
    def discloses(self) -> bool:
        """Whether data was disclosed, or may have been."""
        return self in (Outcome.PERMIT, Outcome.BREAKGLASS)


class Reason(StrEnum):
    """Why data was not released, or why an event was set aside. Stable codes."""

    NO_AGREEMENT = "no-agreement"
    NOT_YET_IN_FORCE = "agreement-not-yet-in-force"
    EXPIRED = "agreement-expired"
    AGREEMENT_SUSPENDED = "agreement-suspended"
    AGREEMENT_REVOKED = "agreement-revoked"
    LIMIT_EXCEEDED = "limit-exceeded"
    DAILY_LIMIT_EXCEEDED = "daily-limit-exceeded"
    BREAK_GLASS_ONLY = "break-glass-only"
    NOT_BREAK_GLASS = "not-break-glass"
    UNJUSTIFIED = "unjustified"
    FORBIDDEN_BY_RULE = "forbidden-by-rule"
    CONDITION_NOT_MET = "condition-not-met"
    NO_CONSENT = "no-consent"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    CONSENT_PAUSED = "consent-paused"
    CONSENT_USED_UP = "consent-used-up"
    CONSENT_TOO_NARROW = "consent-too-narrow"
    CONSENT_EXPIRED = "consent-expired"
    FIELD_NOT_IN_AGREEMENT = "field-not-in-agreement"
    PURPOSE_MISMATCH = "purpose-mismatch"
    CONSENT_NOT_FOUND = "consent-not-found"
    CONSENT_STANDS_OTHERWISE = "consent-stands-otherwise"
    REQUEST_EXPIRED = "consent-request-expired"
    NEVER_IN_FORCE = "consent-never-in-force"
    TEXT_OUTDATED = "shown-text-outdated"
    NOT_YOURS = "not-for-this-agency"
    NOT_YOUR_ROLE = "not-for-this-role"
    NOT_ABOUT_YOU = "not-about-yourself"
    CASE_MISSING = "case-missing"
    CASE_EXISTS = "case-is-there-already"
    CASE_NOT_FOUND = "case-not-found"
    SAVED_NOT_FOUND = "saved-query-not-found"
    CASE_CLOSED = "case-is-closed"
    RECORD_NOT_FOUND = "record-not-found"
    NOT_THE_GUARDIAN = "not-the-guardian"
    NOT_CAPABLE = "signer-not-capable"
    EID_LEVEL_TOO_LOW = "eid-level-too-low"
    SUBJECT_DECEASED = "subject-deceased"
    SUBJECT_NOT_FOUND = "subject-not-found"
    IDENTITY_MISMATCH = "identity-mismatch"
    MALFORMED_HEADERS = "malformed-headers"
    MALFORMED_BYTES = "malformed-bytes"
    UNKNOWN_SCHEMA = "unknown-schema"
    UNKNOWN_EVENT_TYPE = "unknown-event-type"
    KEY_MISMATCH = "key-mismatch"
    WRONG_PARTITION = "wrong-partition"
    TOO_LARGE = "too-large"
    CRASH_LOOP = "crash-loop"
