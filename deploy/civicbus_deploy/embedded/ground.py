"""Prepares the ground a stack stands on: folders, ports, verified parts."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from civicbus_deploy.embedded import artifacts, download, java, ports, servers
from civicbus_deploy.embedded.artifacts import Say
from civicbus_deploy.embedded.failures import StateUnreadable
from civicbus_deploy.embedded.own import PORTS as OWN_PORTS
from civicbus_deploy.embedded.server import Ground
from civicbus_deploy.embedded.state import FORMAT, StateFolder, read_json, write_json

SERVER_PORTS = tuple(name for names in servers.PORTS.values() for name in names)


def prepare(folder: StateFolder, *, names: Sequence[str], console: Console, say: Say) -> Ground:
    """Make the folders, choose ports at the first call, fetch and verify the parts of `names`."""
    folder.make()
    chosen = choose_ports(folder)
    return Ground(folder=folder, ports=chosen, parts=fetch_parts(names, console=console, say=say))


def choose_ports(folder: StateFolder) -> dict[str, int]:
    """The ports in stack.json, completed for names that are new."""
    stack = read_stack(folder)
    chosen = ports.choose((*SERVER_PORTS, *OWN_PORTS), stack.get("ports", {}))
    if chosen != stack.get("ports"):
        identity = stack.get("id", secrets.token_hex(8))
        stack |= {"format": FORMAT, "id": identity, "ports": chosen, "versions": versions()}
        write_json(folder.stack_file, stack, mode=0o644)
    return chosen


def known_ports(folder: StateFolder) -> dict[str, int]:
    """The ports as they were chosen; empty before the first start."""
    return dict(read_stack(folder).get("ports", {}))


def read_stack(folder: StateFolder) -> dict[str, Any]:
    """stack.json, checked; empty before the first start."""
    stack = read_json(folder.stack_file)
    if stack and stack.get("format") != FORMAT:
        raise StateUnreadable(
            "this state folder was written by another version of civicbus",
            got=f"format {stack.get('format')}",
            expected=f"format {FORMAT}",
            next_step="use the version that made it, or another --home",
        )
    return stack


def versions() -> dict[str, str]:
    """The version of every part."""
    found = {part: artifacts.committed(part)[-1].version for part in artifacts.PARTS}
    (core,) = (a for a in artifacts.committed("kafka") if a.name == "kafka-clients")
    return {**found, "kafka": core.version, "java": java.VERSION}


def fetch_parts(names: Sequence[str], *, console: Console, say: Say) -> dict[str, tuple[Path, ...]]:
    """The verified files of every part in `names`, fetched where the cache lacks them."""
    cache = artifacts.cache_folder()
    wanted = {part: artifacts.committed(part) for part in artifacts.PARTS if part in names}
    every = [artifact for part in wanted.values() for artifact in part]
    with download.shown(artifacts.missing_bytes(every, cache), console) as advance:
        fetcher = download.MavenFetcher(advance)
        artifacts.ensure(every, cache=cache, fetcher=fetcher, say=say)
    return {
        part: tuple(cache / artifact.filename for artifact in listed)
        for part, listed in wanted.items()
    }
