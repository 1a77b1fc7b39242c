"""Own processes end when they are asked to, wherever the signal finds them."""

from __future__ import annotations

import subprocess
import sys

import pytest

IN_THE_WAIT = """
import os, signal, sys, threading
from civicbus_consumers.runtime.process import run_process

def main(stop: threading.Event) -> None:
    with stop._cond:  # as `Event.wait` holds it for a moment
        os.kill(os.getpid(), signal.{number})
    assert stop.wait(20)

sys.exit(run_process("sleeper", main))
"""


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_process_ends_when_the_signal_comes_while_it_begins_to_wait(number: str) -> None:
    child = [sys.executable, "-c", IN_THE_WAIT.format(number=number)]
    done = subprocess.run(child, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
