"""Which policy set a command speaks of: a nation's folder, or what is announced on the bus."""

from __future__ import annotations

from pathlib import Path

from civicbus_schemas.errors import Refused
from civicbus_schemas.policy import PolicySet

from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.provisioning.app import Site
from civicbus_deploy.provisioning.nation import load_nation


def chosen(nation: str | None, home: Path | None) -> PolicySet:
    """The set of a nation's folder where one is named, else the announced one."""
    return announced(home) if nation is None else load_nation(nation).policy


def announced(home: Path | None) -> PolicySet:
    """The newest set on the running stack; raises `Refused` where there is none."""
    policy = Site.open(StateFolder.at(home).home).announced()
    if policy is None:
        raise Refused("no policy set is announced", next_step="name a nation's folder")
    return policy
