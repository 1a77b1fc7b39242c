"""Schema and roles of the vault's database, which is a database of its own."""

from __future__ import annotations

from typing import Final

SCHEMA: Final = "vault"
RECORDER_ROLE: Final = "vault_recorder"  # may find secrets and make missing ones
READER_ROLE: Final = "vault_reader"  # may find secrets
ERASER_ROLE: Final = "vault_eraser"  # may find secrets and destroy persons'
