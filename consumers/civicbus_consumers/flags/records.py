"""What the ledger says of flags. Pure: ids, salts and times are given.

A leaf names the flag by its word (`rule`) and the record that raised it (`req.id`), and nobody: a
flag is a suspicion, and citizens see readings, not who looks into them. To what it was judged by
it only commits, so that whoever shows a flag can prove that it is the one that was raised.
"""

from __future__ import annotations

from civicbus_schemas.codec import canonical_json
from civicbus_schemas.record import Actor, Record, Request, commitment
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind

from civicbus_consumers.flags.findings import Finding
from civicbus_consumers.flags.words import OUTCOMES, Closing, Label
from civicbus_consumers.recording.pages import Stamp
from civicbus_consumers.recording.records import OPERATOR

SYSTEM = "flags"


def judged(finding: Finding, closing: Closing | None = None) -> bytes:
    """All that the flag was judged by, in the one spelling that its leaf commits to."""
    told = {
        "agency": finding.agency,
        "officer": finding.officer,
        "score": finding.score,
        "explanations": [str(explanation) for explanation in finding.explanations],
        "count": finding.count,
        "usual": None if finding.usual is None else str(finding.usual),
        "reference": finding.reference,
        "closing": closing,
    }
    return canonical_json({name: value for name, value in told.items() if value is not None})


def record_flag(
    finding: Finding, kind: RecordKind, *, closing: Closing | None, stamp: Stamp
) -> Record:
    """The record that a flag was raised, or closed."""
    return Record(
        **stamp.marks(b""),
        kind=kind,
        actor=Actor(agency=OPERATOR, system=SYSTEM),
        decision=Outcome.PERMIT,
        rule=finding.flag,
        req=Request(id=finding.record),
        payload_hash=commitment(stamp.salt, judged(finding, closing)),
    )


def record_label(
    finding: Finding, label: Label, *, by: Actor, secret: bytes, stamp: Stamp
) -> Record:
    """The record of what an officer of oversight makes of a flag; the reason is sealed."""
    return Record(
        **stamp.marks(secret),
        kind=RecordKind.FLAG_LABELLED,
        actor=by,
        decision=OUTCOMES[label],
        reason=Reason.UNJUSTIFIED if label is Label.CONFIRMED else None,
        rule=finding.flag,
        req=Request(id=finding.record),
    )
