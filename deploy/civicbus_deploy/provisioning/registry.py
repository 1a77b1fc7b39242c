"""The schema registry as provisioning sees and changes it; processes and SDKs only read it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from civicbus_producers.registry import schema_text
from civicbus_schemas.codec import SchemaDocument
from civicbus_schemas.errors import Refused, Unavailable
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from httpx2 import HTTPError  # what that client raises when nobody answers

from civicbus_deploy.provisioning.desired import Subject

_NOT_FOUND, _CONFLICT = 404, 409
_AT_ONCE = 4


class NotAccepted(Refused):
    """The registry refuses a schema that our own gate let pass."""


class SchemaStore:
    """A registry that speaks Confluent's API, for the one who may write to it."""

    def __init__(self, url: str) -> None:
        self._client = SchemaRegistryClient({"url": url, "timeout": 30, "max.retries": 2})

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def read_versions(self, subjects: Iterable[Subject]) -> dict[str, tuple[SchemaDocument, ...]]:
        """All versions of the subjects that exist, oldest first."""
        with _translated("listing subjects"):
            present = set(self._client.get_subjects())
        names = [subject.name for subject in subjects if subject.name in present]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return dict(zip(names, pool.map(self._versions, names), strict=True))

    def _versions(self, subject: str) -> tuple[SchemaDocument, ...]:
        with _translated(f"reading {subject}"):
            numbers = sorted(self._client.get_versions(subject))
            versions = [self._client.get_version(subject, number) for number in numbers]
        return tuple(json.loads(version.schema.schema_str or "{}") for version in versions)

    def register(self, subjects: Iterable[Subject]) -> None:
        """Register each schema as the newest version of its subject."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._register, subjects))

    def _register(self, subject: Subject) -> None:
        with _translated(f"registering {subject.name}"):
            self._client.register_schema(
                subject.name, Schema(schema_text(subject.document), "AVRO")
            )


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except SchemaRegistryError as error:
        if error.http_status_code == _CONFLICT:
            raise NotAccepted(f"{doing}: the registry refuses", got=error.error_message) from None
        raise Unavailable(f"{doing} failed", got=f"HTTP {error.http_status_code}") from None
    except HTTPError as error:
        raise Unavailable(
            f"{doing} failed", got=type(error).__name__, next_step="civicbus doctor"
        ) from None
