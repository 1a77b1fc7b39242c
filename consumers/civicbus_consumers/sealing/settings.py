"""The settings of the sealing process, and the keys that it reads besides."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from civicbus_audit.policy import parse_policy
from civicbus_audit.quorum import Policy
from civicbus_audit.sequencing import RecorderKey
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


class RecorderKeys(Mapping[str, RecorderKey]):
    """Who may write pages, by key id, as the file says now; replace it, never edit it in place.

    Once it is another file it is read anew: a page of a process that was added since would be set
    aside for ever, and whoever was taken out must write no more. Raises `InvalidSettings`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._keys = _read_keys(path)

    def __getitem__(self, key: str) -> RecorderKey:
        if (stamp := _stamp(self._path)) != self._stamp:
            self._keys, self._stamp = _read_keys(self._path), stamp
        return self._keys[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _stamp(path: Path) -> tuple[int, int, int]:
    """Another one is another file, or other contents."""
    try:
        now = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    return now.st_ino, now.st_mtime_ns, now.st_size


def _read_keys(path: Path) -> dict[str, RecorderKey]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if not isinstance(document, dict):
        raise InvalidSettings(f"{path} is malformed", expected="an object of keys by their ids")
    return {id_: _read_key(id_, body, path=path) for id_, body in document.items()}


def _read_key(id_: str, body: Any, *, path: Path) -> RecorderKey:
    if isinstance(body, str):
        raise InvalidSettings(
            f"{path} is from before: it has keys without the names that they may write under",
            got=f"key {id_[:32]!a} alone",
            expected="an object with public_key and processes",
            next_step="`civicbus up` writes it anew; who keeps it by hand adds the names",
        )
    match body:
        case {"public_key": str(text), "processes": [*names], **more} if not more:
            public_key, processes = _bytes_of(text), _names_of(names)
            if public_key and processes and key_id(public_key) == id_:
                return RecorderKey(public_key=public_key, processes=processes)
    raise InvalidSettings(
        f"key {id_[:32]!a} in {path} is malformed",
        expected="an Ed25519 public key in hex under its own key id, and each of its names once",
    )


def _bytes_of(text: str) -> bytes | None:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        return None
    return key if len(key) == 32 else None


def _names_of(names: list[Any]) -> frozenset[str] | None:
    """None unless they are names, each once."""
    if not all(isinstance(name, str) and name for name in names):
        return None
    return frozenset(names) if len(names) == len(set(names)) else None


def _unreadable(path: Path, error: Exception) -> InvalidSettings:
    return InvalidSettings(
        "the recorders' keys cannot be read", got=f"{path}: {type(error).__name__}"
    )
