"""What the commands ask of the registry; a refusal is raised, with its next step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from civicbus_producers.settings import Connection
from civicbus_schemas.errors import Misused, Refused, Unavailable

from civicbus_consumers.consent.registry.client import ConsentClient, RegistryAnswer

REGISTRAR = "vneid"
MALFORMED, NOT_NOW = 400, 503


def call(
    home: Path, agency: str, what: str, *, body: Mapping[str, Any], language: str = "en"
) -> RegistryAnswer:
    """The answer; raises `Refused` where nothing was done, `Misused` and `Unavailable`."""
    with _client(home, agency, language) as client:
        answer = client.call(what, body)
    if answer.code is not None:
        told = answer.document
        raise {NOT_NOW: Unavailable, MALFORMED: Misused}.get(answer.status, Refused)(
            f"{what}: {told.get('title')}",
            got=f"{answer.code} ({answer.status})",
            expected=_wanted(told),
            next_step=str(told.get("detail", "")).rstrip(".") or None,
        )
    return answer


def _wanted(told: Mapping[str, Any]) -> str | None:
    """What of the request was refused: a member with its rule, a level, or fields."""
    if "member" in told:
        return f"{told['member']}: {told.get('rule')}"
    if "eid_level" in told:
        return f"eID level {told['eid_level']} of who signs"
    return f"without {', '.join(told['fields'])}" if "fields" in told else None


def _client(home: Path, agency: str, language: str) -> ConsentClient:
    settings = Connection.read(home / "agencies" / f"{agency}.json")
    return ConsentClient.connect(agency, settings=settings, language=language)


def shown_today(home: Path, recipient: str, purpose: str) -> str:
    """The hash of the data agreement as it is now."""
    with _client(home, REGISTRAR, "en") as client:
        told = client.data_agreements(f"{recipient}.{purpose}").document
    for one in told.get("data_agreements", []):
        if one["current"]:
            return str(one["hash"])
    raise Refused(
        "there is nothing to consent to",
        got=f"{recipient} for {purpose}",
        expected="a recipient and a purpose of an agreement that rests on consent",
        next_step="civicbus agreement list",
    )


def held_of(home: Path, pin: str, consent_id: str) -> Mapping[str, Any]:
    """A consent of the citizen as it stands; raises `Refused` where there is none of that id."""
    found = call(home, REGISTRAR, "list", body={"pin": pin}).document["consents"]
    for one in found:
        if one["consent_id"] == consent_id:
            return dict(one)
    raise Refused("this person has no consent of that id", next_step="civicbus consent list")
