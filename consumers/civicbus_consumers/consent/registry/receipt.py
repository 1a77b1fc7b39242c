"""A consent for people and programs: how it stands, and its receipt (ISO/IEC TS 27560).

The receipt names the person by nobody's number: who holds it is the person, or acts for him. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from civicbus_schemas.ids import AgencyId
from civicbus_schemas.policy import PolicySet

from civicbus_consumers.consent.registry.acts import Held
from civicbus_consumers.consent.registry.rows import Done, Place, Proof, Revision

SCHEMA_VERSION = "ISO/IEC TS 27560:2023"

_WITHDRAWAL = {
    "vi": "Rút lại bất cứ lúc nào trong VNeID; có hiệu lực khi mọi tiến trình đã nhận biết.",
    "en": "Withdraw at any time in VNeID; it binds once every process has taken note of it.",
}


def describe(held: Held, *, at: datetime) -> dict[str, Any]:
    """A consent as it stands at that time."""
    terms = held.terms
    return {
        "consent_id": held.id,
        "version": held.version,
        "standing": held.standing_at(at).value,
        "since": held.since.isoformat(),
        "recipient": terms.recipient,
        "purpose": terms.purpose,
        "fields": sorted(terms.fields),
        "valid_until": _time(terms.valid_until),
        "uses": terms.uses and {"count": terms.uses.count, "per": terms.uses.per},
        "erase_at": _time(terms.erase_at),
        "answer_by": _time(held.answer_by),
        "by_guardian": held.signer is not None and held.signer != held.subject,
        "data_agreement": held.shown,
    }


def describe_place(place: Place | None) -> dict[str, Any] | None:
    """Where a change's event lies; None where there is none, or not yet."""
    if place is None:
        return None
    return {"topic": place.topic, "partition": place.partition, "offset": place.offset}


def describe_proof(proof: Proof) -> dict[str, Any]:
    """The record of an act, by which a proof can be asked for."""
    return {"record_id": proof.record_id, "leaf_hash": proof.leaf_hash}


def describe_revision(revision: Revision) -> dict[str, Any]:
    """A data agreement as it was shown."""
    return {
        "id": revision.id,
        "revision": revision.revision,
        "hash": revision.hash,
        "since": revision.since.isoformat(),
        "policy_version": revision.policy,
        "data_agreement": revision.document,
    }


def receipt(
    held: Held,
    *,
    done: Sequence[Done],
    revision: Revision | None,
    policy: PolicySet,
    registrar: AgencyId,
    language: str,
    at: datetime,
) -> dict[str, Any]:
    """The consent receipt, its texts in `vi` or `en`."""
    terms, purpose = held.terms, policy.purposes[held.terms.purpose]
    shown = revision.document if revision else {}
    return {
        "schema_version": SCHEMA_VERSION,
        "record_id": f"{held.id}@{held.version}",
        "language": language,
        "pii_controllers": [_party(policy, terms.recipient, language)],
        "consent_manager": _party(policy, registrar, language),
        "processing": {
            "purpose": {"id": purpose.id, "name": getattr(purpose.titles, language)},
            "lawful_basis": shown.get("lawful_basis", []),
            "personal_data": [
                _datum(f) for f in shown.get("fields", []) if f["name"] in terms.fields
            ],
            "recipients": [_party(policy, terms.recipient, language)],
            "uses": terms.uses and {"count": terms.uses.count, "per": terms.uses.per},
            "retention": shown.get("retention", []),
            "erase_at": _time(terms.erase_at),
        },
        "notice": revision
        and {"id": revision.id, "revision": revision.revision, "hash": revision.hash},
        "consent": {
            "status": held.standing_at(at).value,
            "since": held.since.isoformat(),
            "valid_until": _time(terms.valid_until),
            "given_by": "guardian" if held.signer not in {None, held.subject} else "data-subject",
            "form": "explicit",
            "withdrawal_method": _WITHDRAWAL[language],
        },
        "events": [_event(one) for one in done],
    }


def _party(policy: PolicySet, agency: AgencyId, language: str) -> Mapping[str, str]:
    return {"id": agency, "name": getattr(policy.agencies[agency].names, language)}


def _datum(field: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": field["name"],
        "category": field["category"],
        "sensitive": field["sensitivity"] == "sensitive",
    }


def _event(done: Done) -> dict[str, Any]:
    return {
        "event": done.act.value,
        "state": done.standing.value,
        "version": done.version,
        "at": done.at.isoformat(),
        "audit_record": describe_proof(done.proof),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
