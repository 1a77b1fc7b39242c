"""The consent registry of one bus, called as its agencies call it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import uuid4

from civicbus_consumers.consent.registry.client import ConsentClient, RegistryAnswer
from civicbus_schemas.codec import unframe
from civicbus_schemas.consent import Consent, SubjectConsents
from civicbus_schemas.ids import Pin
from civicbus_schemas.record import Record
from civicbus_schemas.topics import STATE_CONSENT, consent_group, enforcement_group
from civicbus_schemas.vocabulary import ConsentAct, RecordKind

from tests.bus import Bus
from tests.integration.lookup_place import LookupPlace, person
from tests.unit import lookup_samples as samples

LAN = samples.LAN
CHILD, STRANGER = Pin("001324012345"), Pin("001190077777")
PURPOSE, NAME = samples.CREDIT, "population.Person:full_name"
SOURCE = "src.vneid.consent.v1"


@dataclass(frozen=True)
class RegistryPlace:
    """The web process with the registry, and who calls it."""

    bus: Bus
    lookups: LookupPlace

    def call(self, what: str, body: dict[str, Any], *, agency: str = "vneid") -> RegistryAnswer:
        """One call as an agency."""
        with ConsentClient.connect(agency, settings=self.bus.connection(agency)) as client:
            return client.call(what, body)

    def shown(self, recipient: str = "bank", purpose: str = PURPOSE) -> str:
        """The hash of the data agreement that is shown today."""
        with ConsentClient.connect("vneid", settings=self.bus.connection("vneid")) as client:
            told = client.data_agreements(f"{recipient}.{purpose}").document["data_agreements"]
        return next(str(one["hash"]) for one in told if one["current"])

    def giving(self, *, pin: Pin = LAN, **changes: Any) -> dict[str, Any]:
        """A consent of the woman to the bank, signed by herself."""
        return {
            "consent_id": str(uuid4()),
            "pin": pin.number,
            "signer": {"pin": LAN.number, "eid_level": 2},
            "recipient": "bank",
            "purpose": PURPOSE,
            "fields": [NAME],
            "shown": self.shown(),
        } | changes

    def altering(self, given: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """A change of a consent by who signed it."""
        return {name: given[name] for name in ("consent_id", "pin", "signer")} | changes

    def published(self, consent_id: str) -> list[str]:
        """The types of the events about a consent, in order, as the bus was told."""
        return [
            dict(message.headers() or [])["ce_type"].decode()  # type: ignore[union-attr]
            for message in self.bus.read_all(SOURCE)
            if consent_id.encode() in (message.value() or b"")  # type: ignore[operator]
        ]

    def event_ids(self, consent_id: str) -> list[str]:
        """The ids of the events about a consent, in order."""
        return [
            dict(message.headers() or [])["ce_id"].decode()  # type: ignore[union-attr]
            for message in self.bus.read_all(SOURCE)
            if consent_id.encode() in (message.value() or b"")  # type: ignore[operator]
        ]

    def state_of(self, consent_id: str) -> Consent | None:
        """A consent as enforcement knows it."""
        found = None
        for message in self.bus.read_all(STATE_CONSENT):
            for held in SubjectConsents.decode(unframe(bytes(message.value() or b""))[1]).consents:
                found = held if held.id == consent_id else found
        return found

    def records(self, consent_id: str) -> list[Record]:
        """The durable records of acts upon a consent, in order."""
        return [
            record
            for record, _ in self.lookups.records().values()
            if (record.consent or "").startswith(consent_id)
            and record.kind in {RecordKind(f"consent.{act}") for act in ConsentAct}
        ]


@contextmanager
def registry_place(bus: Bus) -> Iterator[RegistryPlace]:
    """A bus of its own with all that decides on consents, and a woman, a child and a stranger."""
    lookups = LookupPlace(bus)
    lookups.settle(
        person(eid_level=2),
        person(
            pin=CHILD.number,
            full_name="Nguyễn An",
            date_of_birth=date(2024, 3, 4),
            mother_pin=LAN.number,
        ),
        person(pin=STRANGER.number, full_name="Trần Hoa", eid_level=2, mother_pin=None),
    )
    with ExitStack() as living:
        for group in range(2):
            living.enter_context(bus.running(consent_group(group)))
            living.enter_context(bus.running(enforcement_group(group)))
        living.enter_context(lookups.running())
        lookups.serve()
        yield RegistryPlace(bus, lookups)
