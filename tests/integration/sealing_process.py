"""A sealing process on a test's topic that kills itself after a step (kill tests)."""

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


def main(arguments: list[str]) -> int:
    """`FILE TOPIC STEP SKIP`: seal until SIGTERM, or until the step."""
    file, topic, step, skip = arguments
    settings = SealingSettings.read(Path(file))
    seen = itertools.count()

    def on_step(done: Step) -> None:
        if done.value == step and next(seen) == int(skip):
            os.kill(os.getpid(), signal.SIGKILL)

    return run_process(
        settings.name, lambda stop: run(settings, stop, topic=topic, on_step=on_step)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
