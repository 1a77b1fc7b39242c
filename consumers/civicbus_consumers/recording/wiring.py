"""Recorders of a process that answers over HTTP: each with a producer of its own."""

from __future__ import annotations

from collections.abc import Callable

from civicbus_producers.kafka import producer_config
from civicbus_producers.registry import Registry
from civicbus_producers.settings import read_key
from civicbus_schemas.ids import new_recorder_id
from civicbus_schemas.page import PAGE, PageRef
from civicbus_schemas.topics import AUDIT_PAGE
from confluent_kafka import Producer

from civicbus_consumers.recording.chain import Chain
from civicbus_consumers.recording.recorder import KafkaPageLog, Recorder
from civicbus_consumers.recording.settings import RecordingSettings, fuse_of
from civicbus_consumers.recording.signing import read_signing_key

PAGE_BROKER_BYTES = 8 * 1024 * 1024
PROMPT_S = 3.0
"""How long the broker may take while requests wait: less than they do."""

BeginRecorder = Callable[[PageRef | None], Recorder]
"""A recorder of a fresh chain that closes its predecessor at that page."""


def recorders(settings: RecordingSettings, *, process: str) -> BeginRecorder:
    """Makes recorders, each with a producer of its own: a failed one leaves nothing behind."""
    registry = Registry(settings.registry_url)
    schema_id = registry.get_id(AUDIT_PAGE, PAGE.document)
    signer, key = read_signing_key(settings.signing_key_file)
    seal_key = read_key(settings.seal_key_file)
    fuse = fuse_of(settings)

    def begin(closes: PageRef | None) -> Recorder:
        producer = Producer(
            producer_config(
                settings,
                client_id=f"{process}-pages",
                delivery_timeout_s=PROMPT_S,
                max_message_bytes=PAGE_BROKER_BYTES,
            )
        )
        return Recorder(
            KafkaPageLog(producer, schema_id=schema_id, fuse=fuse, timeout_s=PROMPT_S),
            chain=Chain(process=process, recorder=new_recorder_id(), closes=closes),
            signer=signer,
            key=key,
            seal_key=seal_key,
        )

    return begin
