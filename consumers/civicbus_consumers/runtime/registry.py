"""The schema registry as the bus's processes see it: schemas by id, ids by schema.

Two failures must not be confused (DESIGN section 3): the registry *knows no such id* (the message
is a dead letter) and the registry *does not answer* (the partition stops).
"""

from __future__ import annotations

import json
from functools import lru_cache

import httpx
from civicbus_schemas.codec import AvroType, SchemaDocument
from civicbus_schemas.errors import BusError, InvalidBytes, Stopped, Unavailable
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

_NOT_FOUND = 404


class Registry:
    """A schema registry that speaks Confluent's API."""

    def __init__(self, url: str) -> None:
        self._client = SchemaRegistryClient({"url": url, "timeout": 10, "max.retries": 2})
        self.get_type = lru_cache(maxsize=4096)(self._get_type)

    def _get_type(self, schema_id: int) -> AvroType:
        """The schema of that id. Raises `InvalidBytes` if there is none, else `Unavailable`."""
        try:
            schema = self._client.get_schema(schema_id)
        except SchemaRegistryError as error:
            raise _explained(error, f"schema id {schema_id}") from None
        except httpx.HTTPError as error:
            raise _unreachable(error) from None
        return AvroType(json.loads(schema.schema_str or "{}"))

    def get_id(self, subject: str, document: SchemaDocument) -> int:
        """The id under which provisioning registered this schema; raises `Stopped` if it did not.

        Never registers: a process that may release must not be able to change the language.
        """
        schema = Schema(json.dumps(document), "AVRO")
        try:
            return int(self._client.lookup_schema(subject, schema).schema_id or 0)
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                raise Stopped(
                    f"subject {subject} does not hold the schema we derived",
                    next_step="run `civicbus provision`",
                ) from None
            raise _explained(error, f"subject {subject}") from None
        except httpx.HTTPError as error:
            raise _unreachable(error) from None


def _explained(error: SchemaRegistryError, what: str) -> BusError:
    if error.http_status_code == _NOT_FOUND:
        return InvalidBytes(f"the registry knows no {what}")
    return Unavailable(f"the registry failed on {what}", got=f"status {error.http_status_code}")


def _unreachable(error: httpx.HTTPError) -> Unavailable:
    return Unavailable("the registry does not answer", got=type(error).__name__)
