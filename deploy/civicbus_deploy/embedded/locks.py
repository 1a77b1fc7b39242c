"""Locks of a state folder. The kernel frees them when the holder dies: none can go stale.

The file keeps its holder's pid for people; a pid left by a crash is reported, then overwritten.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from civicbus_deploy.embedded.artifacts import Say
from civicbus_deploy.embedded.failures import StackBusy


@contextmanager
def held(path: Path, *, what: str, say: Say) -> Iterator[None]:
    """Hold the lock, or raise `StackBusy` naming the living holder."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(descriptor, path, what)
        left_by = os.read(descriptor, 32).decode(errors="replace").strip()
        if left_by:
            say(f"the lock {path.name} was left by process {left_by}, which is dead; taking it")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, what: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip()
        raise StackBusy(
            f"another command works on {path.parent.parent}: {what}",
            got=f"the lock held by process {holder or 'unknown'}",
            expected="one command at a time",
            next_step="wait for it to end, then call this again",
        ) from None
