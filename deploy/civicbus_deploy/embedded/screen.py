"""Where data for people goes: stdout, as wide as the terminal, or wide enough for our tables."""

from __future__ import annotations

import sys

from rich.console import Console

_FILE_WIDTH = 120


def paper() -> Console:
    """A console on stdout."""
    return Console(width=None if sys.stdout.isatty() else _FILE_WIDTH)
