"""Three witnesses on the one machine of the embedded stack, two of whom make a quorum.

Each is a process with a key, a store and a port of its own; one is a full mirror, which fetches
the leaves over HTTP with its token. Beyond one machine they belong to other bodies, and the policy
names their addresses.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from civicbus_audit.cosignature import CosignatureSigner
from civicbus_audit.note import Verifier
from civicbus_audit.places import POLICY
from civicbus_audit.policy import format_policy
from civicbus_audit.quorum import Group, Log, Policy, Witness
from civicbus_audit.witness.keys import make_key, read_key

from civicbus_deploy.embedded.ports import HOST
from civicbus_deploy.embedded.processes import ProcessSpec
from civicbus_deploy.embedded.state import StateFolder, write_file

MIRROR = "mirror"
WITNESSES = ("witness-1", "witness-2", MIRROR)
QUORUM = 2


def make_keys(folder: StateFolder) -> None:
    """Make each witness's folder and key, where it has none."""
    for name in WITNESSES:
        _folder(folder, name).mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _key_file(folder, name).exists():
            make_key(_key_file(folder, name))


def policy_file(folder: StateFolder) -> Path:
    """Log, witnesses and quorum, as a C2SP tlog-policy."""
    return folder.home / POLICY


def write_policy(folder: StateFolder, ports: Mapping[str, int], *, log: Verifier) -> None:
    """Say whose cosignatures a checkpoint needs, and where they are asked for."""
    policy = Policy(
        logs=(Log(verifier=log),),
        witnesses=tuple(
            Witness(
                name=name,
                cosigner=CosignatureSigner(
                    _title(name), read_key(_key_file(folder, name))
                ).cosigner,
                url=f"http://{HOST}:{ports[name]}",
            )
            for name in WITNESSES
        ),
        groups=(Group(name="quorum", threshold=QUORUM, members=WITNESSES),),
        quorum="quorum",
    )
    write_file(policy_file(folder), format_policy(policy))


def specs(
    folder: StateFolder,
    ports: Mapping[str, int],
    *,
    log_vkey: Path,
    source: str,
    token_file: Path,
) -> tuple[ProcessSpec, ...]:
    """How each witness is started; the mirror reads leaves at `source` with the token."""
    copying = (
        *("--mirror", str(_folder(folder, MIRROR) / "ledger")),
        *("--source", source, "--token-file", str(token_file)),
    )
    return tuple(
        ProcessSpec(
            name=name,
            command=(
                *(sys.executable, "-P", "-m", "civicbus_audit.witness", "run"),
                *("--name", _title(name), "--key", str(_key_file(folder, name))),
                *("--log", str(log_vkey), "--store", str(_folder(folder, name) / "store.db")),
                *("--host", HOST, "--port", str(ports[name])),
                *(copying if name == MIRROR else ()),
            ),
            log=folder.log(name),
            cwd=_folder(folder, name),
            ready_url=f"http://{HOST}:{ports[name]}/readyz",
        )
        for name in WITNESSES
    )


def _title(name: str) -> str:
    return f"civicbus.local/{name}"


def _folder(folder: StateFolder, name: str) -> Path:
    return folder.witnesses / name


def _key_file(folder: StateFolder, name: str) -> Path:
    return _folder(folder, name) / "key.pem"
