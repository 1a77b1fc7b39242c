"""The schema registry, read only: ids of our schemas, and schemas of ids. It registers nothing.

Each answer is kept for the life of the process: an id never changes its meaning.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from civicbus_schemas.codec import SchemaDocument
from civicbus_schemas.errors import Refused, Stopped, Unavailable
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from httpx2 import HTTPError  # what that client raises when nobody answers

_NOT_FOUND = 404
_SAYS_NO = frozenset({40401, 40402, 40403})  # its own codes: no such subject, version, schema
_TOO_MANY_REQUESTS = 429


class NotRegistered(Refused):
    """The registry answers that it does not know this schema or this id."""


class Registry:
    """A reader of the schema registry.

    Every method raises `NotRegistered` when the registry says no in its own words, `Unavailable`
    when it does not answer in time or something else answers in its place, and `Stopped` when it
    refuses.
    """

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        self._config: dict[str, Any] = {
            "url": url,
            "timeout": timeout_s,
            "max.retries": 2,
            "retries.wait.ms": 200,
        }
        if url.startswith("http:"):  # where no certificate is shown, reading the authorities' is
            self._config["ssl.ca.location"] = False  # 40 ms of every question
        self._ids: dict[tuple[str, str], int] = {}
        self._documents: dict[int, SchemaDocument] = {}

    def get_id(self, topic: str, document: SchemaDocument) -> int:
        """The id of this schema under the topic's subject for it.

        The registry compares what Avro compares: labels and documentation do not count.
        """
        subject = subject_name(topic, document)
        text = schema_text(document)
        if (subject, text) not in self._ids:
            with _errors_translated(f"looking up {subject}"), self._client() as client:
                found = client.lookup_schema(subject, Schema(text, "AVRO"))
            if not isinstance(found.schema_id, int):
                raise Stopped(f"the registry gave no id for {subject}")
            self._ids[subject, text] = found.schema_id
        return self._ids[subject, text]

    def get_document(self, schema_id: int) -> SchemaDocument:
        """The schema document of an id."""
        if schema_id not in self._documents:
            with _errors_translated(f"reading schema {schema_id}"), self._client() as client:
                text = client.get_schema(schema_id).schema_str
            if text is None:
                raise _no_registry(f"reading schema {schema_id}", got="an answer without a schema")
            self._documents[schema_id] = _parsed(text, schema_id)
        return self._documents[schema_id]

    def _client(self) -> SchemaRegistryClient:
        """A client for one question: they are so rare that no connection is kept."""
        return SchemaRegistryClient(self._config)


def subject_name(topic: str, document: SchemaDocument) -> str:
    """The registry's subject of a schema on a topic: `<topic>-<Avro full name>`."""
    return f"{topic}-{document['namespace']}.{document['name']}"


def schema_text(document: SchemaDocument) -> str:
    """A schema document as the text that is registered and looked up: one text per document."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _parsed(text: str, schema_id: int) -> SchemaDocument:
    try:
        document: Any = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise NotRegistered(f"schema {schema_id} in the registry is not a record in Avro")
    return document


@contextmanager
def _errors_translated(doing: str) -> Iterator[None]:
    try:
        yield
    except SchemaRegistryError as error:
        status = error.http_status_code
        if error.error_code in _SAYS_NO:
            raise NotRegistered(
                f"{doing}: not registered", next_step="provision the contract that this code uses"
            ) from None
        if status == _NOT_FOUND:  # a proxy's, say: nothing that is final may rest on it
            raise _no_registry(doing, got="status 404 without a registry's code") from None
        if status >= 500 or status == _TOO_MANY_REQUESTS:
            raise Unavailable(f"{doing}: the registry failed", got=f"status {status}") from None
        raise Stopped(f"{doing}: the registry refused", got=f"status {status}") from None
    except HTTPError as error:
        raise Unavailable(
            f"{doing}: the registry does not answer",
            got=type(error).__name__,
            next_step="try again when it is up",
        ) from None
    except (AttributeError, TypeError, ValueError):  # what that client makes of another body
        raise _no_registry(doing, got="a body that is no answer of a registry") from None


def _no_registry(doing: str, *, got: str) -> Unavailable:
    return Unavailable(
        f"{doing}: something else answers at the registry's address",
        got=got,
        next_step="check registry_url, and what stands before the registry",
    )
