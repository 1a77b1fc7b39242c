"""An error that nobody foresaw is told by kind and place; its text may name a person (I6)."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from civicbus_audit.defects import kind_and_place

SECRET = "001195000017"

PROCESS = """
from civicbus_consumers.runtime.process import run_process
from tests.unit.test_defects import {fault}
raise SystemExit(run_process("test", {fault}))
"""
COMMAND = """
from civicbus_audit.command_line import CommandLine
from tests.unit.test_defects import in_main
app = CommandLine()
app.command()(lambda: in_main(None))
app()
"""


def in_main(_: object) -> None:
    """A defect where a process works."""
    try:
        {}[SECRET]
    except KeyError:
        raise ValueError(SECRET)  # noqa: B904


def in_thread(_: object) -> None:
    """A defect in a thread of a process that goes on."""
    import threading

    thread = threading.Thread(target=in_main, args=(None,))
    thread.start()
    thread.join()


def in_cleaning(_: object) -> None:
    """A defect where Python can tell nobody else."""

    class Broken:
        def __del__(self) -> None:
            in_main(None)

    Broken()


def in_task(_: object) -> None:
    """A defect of which asyncio tells the log."""
    import asyncio
    import gc

    async def fail() -> None:
        in_main(None)

    async def forget() -> None:
        task = asyncio.ensure_future(fail())
        await asyncio.wait({task})
        del task
        gc.collect()

    asyncio.run(forget())


def run(script: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=root
    )


@pytest.mark.parametrize(
    ("fault", "code"), [("in_main", 1), ("in_thread", 0), ("in_cleaning", 0), ("in_task", 0)]
)
def test_process_tells_a_defect_without_its_text(fault: str, code: int) -> None:
    told = run(PROCESS.format(fault=fault))
    assert told.returncode == code
    assert "ValueError in test_defects.py:" in told.stderr
    assert "from KeyError in test_defects.py:" in told.stderr
    assert SECRET not in told.stderr + told.stdout


def test_command_tells_a_defect_without_its_text() -> None:
    told = run(COMMAND)
    assert told.returncode == 1
    assert "ValueError in test_defects.py:" in told.stderr
    assert SECRET not in told.stderr + told.stdout


def test_operator_hears_what_the_system_refused() -> None:
    told = kind_and_place(OSError(errno.ENOSPC, SECRET))
    assert told == "OSError (No space left on device)"
