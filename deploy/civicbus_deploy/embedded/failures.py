"""What can go wrong with the stack on this machine: each says what, got, expected, next step.

BusError
├── Retryable
│   ├── NoNetwork              the parts cannot be fetched now
│   └── ServerNotReady         a server did not answer in its time
├── Refused
│   ├── PortTaken              a port kept in stack.json is in use by somebody else
│   ├── DiskFull               too little room for state or parts
│   ├── StackBusy              another `up` or `down` works on this folder
│   ├── NoStack                the folder has no stack, or it is down
    │   ├── UnknownAgency          nobody of that name is provisioned here
│   └── UnsupportedPlatform    not linux x86-64, or a Python that is too old
└── Fatal
    ├── ChecksumMismatch       a part is not the one that is committed
    ├── ServerFailed           a server ended while it started
    └── StateUnreadable        a file of the state folder is not what we wrote
"""

from __future__ import annotations

import shutil
from pathlib import Path

from civicbus_schemas.errors import Fatal, Refused, Retryable


class NoNetwork(Retryable):
    """The parts of the stack cannot be fetched at the moment."""


class ServerNotReady(Retryable):
    """A server was started but did not answer within its time."""


class PortTaken(Refused):
    """A port that this state folder uses is held by somebody else."""


class DiskFull(Refused):
    """The disk has too little room."""

    @classmethod
    def at(cls, folder: Path, *, needed: int) -> DiskFull:
        """The error for a folder in which `needed` bytes are to be written."""
        return cls(
            f"the disk of {folder} is full",
            got=f"{shutil.disk_usage(folder).free:,} bytes free",
            expected=f"at least {needed:,}",
            next_step="free some room, or choose another place with --home or XDG_CACHE_HOME",
        )


class StackBusy(Refused):
    """Another living command holds the lock of this state folder."""


class NoStack(Refused):
    """The command needs a stack in this folder, or a running one."""


class UnknownAgency(Refused):
    """No agency of that name is provisioned in this folder."""


class UnsupportedPlatform(Refused):
    """The embedded stack does not run on this machine."""


class ChecksumMismatch(Fatal):
    """A part's bytes differ from the committed sum; it is never used."""


class ServerFailed(Fatal):
    """A server ended by itself while it was being started."""


class StateUnreadable(Fatal):
    """A file in the state folder is damaged."""
