"""From a message on a consent topic to the change it tells, or the reason why it tells none.

Decodes with the schema that the writer used. What cannot be known now (a registry that does not
answer, or does not know the schema) raises; what will never be readable is a reason, and the
message becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from civicbus_producers.registry import NotRegistered
from civicbus_schemas.codec import SchemaDocument, unframe
from civicbus_schemas.contract import Contract, parse_contract
from civicbus_schemas.envelope import Envelope, parse_headers
from civicbus_schemas.errors import (
    InvalidBytes,
    InvalidContract,
    InvalidEnvelope,
    Refused,
    Unavailable,
)
from civicbus_schemas.ids import AgencyId, Pin
from civicbus_schemas.pseudonym import topic_pseudonym
from civicbus_schemas.topics import MAX_EVENT_BYTES
from civicbus_schemas.vocabulary import Reason

from civicbus_consumers.consent.rules import EVENT_TYPES, Change, read_change


class SchemaDocuments(Protocol):
    """Where schemas come from: the registry, or memory in tests."""

    def get_document(self, schema_id: int) -> SchemaDocument:
        """The document of an id; raises `NotRegistered`, `Unavailable` or `Stopped`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """A consent event that could be read. `traceparent` is its publisher's, if it sent one."""

    change: Change
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that is no consent event of the subject it is keyed by, and never will be."""

    reason: Reason


class ChangeReader:
    """Reads consent events; `topic_key` is the key of topic pseudonyms."""

    def __init__(self, documents: SchemaDocuments, *, topic_key: bytes) -> None:
        self._documents, self._topic_key = documents, topic_key
        self._contracts: dict[int, Contract | None] = {}

    def read(
        self,
        agency: AgencyId,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | str | None]] | None,
    ) -> Readable | Unreadable:
        """The change on this agency's topic, or why there is none.

        Raises `Unavailable` or `Stopped` when the registry fails, and when it does not know the
        schema: a withdrawal that it has forgotten (a restored database) must not be passed over.

        1. size, 2. headers, 3. schema, 4. event type, 5. body, 6. the key is the subject's.
        """
        if value is not None and len(value) > MAX_EVENT_BYTES:  # 1
            return Unreadable(Reason.TOO_LARGE)
        try:
            envelope = parse_headers(headers)  # 2
        except InvalidEnvelope:
            return Unreadable(Reason.MALFORMED_HEADERS)
        if envelope.source != f"/agencies/{agency}" or envelope.ground is not None:
            return Unreadable(Reason.MALFORMED_HEADERS)
        try:
            schema_id, body = unframe(value)  # 3
            contract = self._contract(schema_id)
        except NotRegistered as error:
            raise Unavailable(
                "the schema of a consent event is not registered",
                got=error.what,
                next_step="register it, or restore the registry: this may be a withdrawal",
            ) from None
        except InvalidBytes:
            return Unreadable(Reason.MALFORMED_BYTES)
        if contract is None:
            return Unreadable(Reason.UNKNOWN_SCHEMA)
        if envelope.type != contract.event_type or envelope.type not in EVENT_TYPES:  # 4
            return Unreadable(Reason.UNKNOWN_EVENT_TYPE)
        return self._read_body(body, contract=contract, envelope=envelope, key=key)

    def _read_body(
        self, body: bytes, *, contract: Contract, envelope: Envelope, key: bytes | None
    ) -> Readable | Unreadable:
        try:
            datum = contract.avro.decode(body)  # 5
            (number,) = contract.subject_numbers(datum)[contract.key_subject.name]
            pseudonym = topic_pseudonym(self._topic_key, Pin(number))
            change = read_change(envelope.type, datum)
        except (Refused, KeyError):  # a contract of that name may still lack our fields
            return Unreadable(Reason.MALFORMED_BYTES)
        if key != pseudonym.encode():  # 6
            return Unreadable(Reason.KEY_MISMATCH)
        return Readable(change=change, traceparent=envelope.traceparent)

    def _contract(self, schema_id: int) -> Contract | None:
        """The contract of a schema id; None for a schema that is no contract of ours."""
        if schema_id not in self._contracts:
            document = self._documents.get_document(schema_id)
            try:
                self._contracts[schema_id] = parse_contract(document)
            except (InvalidContract, KeyError, TypeError):
                self._contracts[schema_id] = None
        return self._contracts[schema_id]
