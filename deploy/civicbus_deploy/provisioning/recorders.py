"""Recorders of the operator's own acts: an announcement, a review, a closed case."""

from __future__ import annotations

from pathlib import Path

from civicbus_consumers.recording.chain import Chain
from civicbus_consumers.recording.fuse import Unwatched
from civicbus_consumers.recording.recorder import KafkaPageLog, Recorder
from civicbus_consumers.recording.signing import read_signing_key
from civicbus_producers.kafka import BrokerAccess, ConnectionErrors, producer_config
from civicbus_producers.registry import Registry
from civicbus_schemas.ids import new_recorder_id
from civicbus_schemas.page import PAGE
from civicbus_schemas.topics import AUDIT_PAGE
from confluent_kafka import Producer

_PAGE_BROKER_BYTES = 8 * 1024 * 1024


def begin_recorder(
    process: str,
    access: BrokerAccess,
    *,
    secrets: Path,
    registry_url: str,
    errors: ConnectionErrors | None = None,
) -> Recorder:
    """A recorder of one act, which signs with `sign-<process>.pem`; nothing flies between two.

    It has no fuse: the first set is announced before sealing begins, and none of these acts gives
    data to anybody.
    """
    signer, key = read_signing_key(secrets / f"sign-{process}.pem")
    config = producer_config(
        access, client_id=process, errors=errors, max_message_bytes=_PAGE_BROKER_BYTES
    )
    schema_id = Registry(registry_url).get_id(AUDIT_PAGE, PAGE.document)
    return Recorder(
        KafkaPageLog(Producer(config), schema_id=schema_id, fuse=Unwatched()),
        chain=Chain(process=process, recorder=new_recorder_id()),
        signer=signer,
        key=key,
    )
