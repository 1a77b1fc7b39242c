"""What a process that records works with: its vault, and recorders with a producer of their own."""

from __future__ import annotations

from collections.abc import Callable

from civicbus_audit.vault.cached import CachedVault
from civicbus_audit.vault.store import PostgresVault
from civicbus_producers.kafka import producer_config
from civicbus_producers.registry import Registry
from civicbus_producers.settings import read_key, read_secret
from civicbus_schemas.ids import new_recorder_id
from civicbus_schemas.page import PAGE, PageRef
from civicbus_schemas.subject import VaultKey
from civicbus_schemas.topics import AUDIT_PAGE
from confluent_kafka import Producer

from civicbus_consumers.recording.chain import Chain
from civicbus_consumers.recording.recorder import KafkaPageLog, Recorder
from civicbus_consumers.recording.settings import PageSettings, VaultSettings, fuse_of
from civicbus_consumers.recording.signing import read_signing_key

PAGE_BROKER_BYTES = 8 * 1024 * 1024
PROMPT_S = 3.0
"""How long the broker may take while requests wait: less than they do."""

BeginRecorder = Callable[[PageRef | None], Recorder]
"""A recorder of a fresh chain that closes its predecessor at that page."""


def open_vault(settings: VaultSettings) -> CachedVault:
    """The vault on its database; it connects when it must."""
    key = VaultKey(read_key(settings.vault_key_file))
    return CachedVault(PostgresVault(read_secret(settings.vault_dsn_file), key))


def recorders(settings: PageSettings, *, process: str) -> BeginRecorder:
    """Makes recorders, each with a producer of its own: a failed one leaves nothing behind."""
    registry = Registry(settings.registry_url)
    schema_id = registry.get_id(AUDIT_PAGE, PAGE.document)
    signer, key = read_signing_key(settings.signing_key_file)
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
        )

    return begin
