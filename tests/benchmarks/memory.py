"""The memory of a whole running stack, as `civicbus status` tells it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.checks import WrongAnswer


def stack_memory(home: Path) -> dict[str, Any]:
    """MiB of every process and of all together."""
    civicbus = Path(sys.executable).with_name("civicbus")
    command = [str(civicbus), "status", "--json", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    try:
        status = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise WrongAnswer(f"`civicbus status` says nothing of {home}") from None
    if not status["processes"]:
        raise WrongAnswer(f"no stack runs in {home}")
    return {
        "total_mib": status["memory_mib"],
        "processes": {p["name"]: p["memory_mib"] for p in status["processes"]},
    }
