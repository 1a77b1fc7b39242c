"""This machine: its platform, and the unprivileged user that root starts PostgreSQL as."""

from __future__ import annotations

import os
import platform
import pwd
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from civicbus_deploy.embedded.failures import UnsupportedPlatform

PYTHON = (3, 11)


def check_platform() -> None:
    """Raise `UnsupportedPlatform` unless this is linux x86-64 with glibc and Python 3.11+."""
    got = f"{sys.platform} {platform.machine()}"
    if got not in {"linux x86_64", "linux amd64"}:
        raise UnsupportedPlatform(
            "the embedded stack does not run here: PostgreSQL's binaries are missing",
            got=got,
            expected="linux x86_64",
            next_step="use such a machine, or name servers of your own in the processes' settings",
        )
    if sys.version_info < PYTHON:
        raise UnsupportedPlatform(
            "this Python is too old", got=platform.python_version(), expected="3.11 or newer"
        )


@dataclass(frozen=True, slots=True)
class User:
    """An account of this machine."""

    name: str
    uid: int
    gid: int


def unprivileged_user() -> User | None:
    """Whom root starts PostgreSQL as; None when we are not root and stay who we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(name, entry.pw_uid, entry.pw_gid)
    raise UnsupportedPlatform(
        "PostgreSQL refuses to run as root, and there is no other user to run it as",
        got="neither postgres nor nobody in the user database",
        expected="one of them",
        next_step="run civicbus as an ordinary user, or add a user named postgres",
    )


def reaches(user: User, folder: Path) -> bool:
    """Whether `user` may pass through every folder down to and including `folder`."""
    return all(_passable(user, path) for path in (folder, *folder.parents))


def _passable(user: User, path: Path) -> bool:
    status = path.stat()
    if status.st_uid == user.uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid == user.gid:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)


def free_bytes(folder: Path) -> int:
    """Room left for us on the disk of a folder that exists."""
    return shutil.disk_usage(folder).free
