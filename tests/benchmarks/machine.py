"""On what a measurement was made: a figure without its machine says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from civicbus_deploy.embedded.ground import versions as server_versions

ROOT = Path(__file__).parents[2]
_PACKAGES = ("confluent-kafka", "fastavro", "cryptography", "psycopg", "starlette", "uvicorn")


def describe() -> dict[str, Any]:
    """Machine, versions, commit and load, now; `after` is to be called at the end."""
    psutil.cpu_times_percent()  # from here on the stolen time is counted
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: version(name) for name in _PACKAGES},
        "servers": server_versions(),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed_files": len(_git("status", "--porcelain", "--untracked-files=no").splitlines()),
        "load": load(),
    }


def after() -> dict[str, float]:
    """The load now, and the share of all cores' time that the host took since `describe`, in %."""
    return {"load_after": load(), "stolen_percent": psutil.cpu_times_percent().steal}


def load() -> float:
    """Processes that ran or waited for a core over the last minute."""
    return round(os.getloadavg()[0], 2)


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _git(*words: str) -> str:
    answer = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip()
