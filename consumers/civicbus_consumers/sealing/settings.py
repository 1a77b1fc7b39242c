"""The settings of the sealing process, and the keys that it reads besides."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from civicbus_audit.policy import parse_policy
from civicbus_audit.quorum import Policy
from civicbus_producers.settings import InvalidSettings
from civicbus_schemas.errors import InvalidBytes
from civicbus_schemas.page import key_id
from pydantic import Field

from civicbus_consumers.runtime.settings import ProcessSettings
from civicbus_consumers.scrubbing.rhythm import Rhythm
from civicbus_consumers.sealing.rules import Limits

MAX_UNWITNESSED_S = 4 * 3600.0  # as long as X-Road lets time-stamps wait


class SealingSettings(ProcessSettings):
    """Where the ledger is, who signs and who cosigns it, and who may write pages.

    The index is only read, for the scrubber.

    Without a policy of witnesses the log's own signature publishes a checkpoint. With one, sealing
    warns when leaves have waited `witness_warn_s` for a quorum, and stops at `witness_stop_s`. An
    index commit closes each `commit_every_s` of log time in which leaves came. The scrubber
    compares the newest hour every `scrub_hot_s`, all every `scrub_whole_s`, and takes at most
    `scrub_share` of a core.
    """

    ledger_dir: Path
    log_key_file: Path
    origin: str
    postgres_dsn_file: Path
    recorder_keys_file: Path
    witness_policy_file: Path | None = None
    witness_timeout_s: float = Field(default=2.0, gt=0, le=30)
    witness_warn_s: float = Field(default=15.0, gt=0, le=MAX_UNWITNESSED_S)
    witness_stop_s: float = Field(default=60.0, gt=0, le=MAX_UNWITNESSED_S)
    commit_every_s: int = Field(default=3600, ge=1, le=31 * 86_400)

    scrub_hot_s: float = Field(default=60.0, gt=0, le=3600)
    scrub_whole_s: float = Field(default=86_400.0, gt=0, le=7 * 86_400)
    scrub_share: float = Field(default=0.1, gt=0, le=1)

    @property
    def rhythm(self) -> Rhythm:
        """For the scrubber."""
        return Rhythm(hot_s=self.scrub_hot_s, whole_s=self.scrub_whole_s, share=self.scrub_share)

    @property
    def limits(self) -> Limits:
        """For the fuse."""
        return Limits(warn_s=self.witness_warn_s, stop_s=self.witness_stop_s)

    @property
    def policy(self) -> Policy | None:
        """The witnesses' policy, read anew; raises `InvalidSettings`."""
        if self.witness_policy_file is None:
            return None
        try:
            return parse_policy(self.witness_policy_file.read_bytes())
        except (OSError, InvalidBytes) as error:
            raise InvalidSettings(
                "the policy of witnesses cannot be read",
                got=f"{self.witness_policy_file}: {error}",
            ) from None


class RecorderKeys(Mapping[str, bytes]):
    """The public keys of the processes that write pages, by key id.

    An unknown id reads the file anew: a process may have been added since, and a page set aside
    for its key would stay so for ever.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = _read_keys(path)

    def __getitem__(self, key: str) -> bytes:
        if key not in self._keys:
            self._keys = _read_keys(self._path)
        return self._keys[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _read_keys(path: Path) -> dict[str, bytes]:
    try:
        keys = {name: bytes.fromhex(key) for name, key in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InvalidSettings(
            "the recorders' keys cannot be read", got=f"{path}: {type(error).__name__}"
        ) from None
    for name, key in keys.items():
        if len(key) != 32 or key_id(key) != name:
            raise InvalidSettings(
                f"key {name[:32]!a} in {path} is malformed",
                expected="an Ed25519 public key under its own key id, both in hex",
            )
    return keys
