"""A sealing process on a test's topic that kills itself after a step, or whose clock jumps."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path

from civicbus_consumers.runtime.process import run_process
from civicbus_consumers.sealing.app import run
from civicbus_consumers.sealing.handler import Step
from civicbus_consumers.sealing.settings import SealingSettings

from tests.integration.jumping_clock import JumpingClock

JUMPS = "jumps"


def die() -> None:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """`FILE TOPIC STEP SKIP`: seal until SIGTERM, or until the step.

    `FILE TOPIC jumps N`: the clock jumps at each step and at each fsync; at the N-th it dies.
    """
    file, topic, step, skip = arguments
    settings = SealingSettings.read(Path(file))
    seen = itertools.count()

    def on_step(done: Step) -> None:
        if done.value == step and next(seen) == int(skip):
            die()

    def at_jump(jumps: int) -> None:
        if jumps == int(skip):
            die()

    if step == JUMPS:
        clock = JumpingClock(seed=int(skip), at_jump=at_jump)
        clock.install()
        on_step = clock.jump

    return run_process(
        settings.name, lambda stop: run(settings, stop, topic=topic, on_step=on_step)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
