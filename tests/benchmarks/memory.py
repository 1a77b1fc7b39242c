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
    command = [sys.executable, "-m", "civicbus_deploy.cli", "status", "--json"]
    done = subprocess.run(
        [*command, "--home", str(home)], capture_output=True, text=True, timeout=60, check=False
    )
    try:
        status = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise WrongAnswer(f"`civicbus status` says nothing of {home}") from None
    return {
        "total_mib": status["memory_mib"],
        "processes": {p["name"]: p["memory_mib"] for p in status["processes"]},
    }
