"""A population process that kills itself after a step (kill tests)."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path

from civicbus_consumers.population.app import run
from civicbus_consumers.population.settings import PopulationSettings
from civicbus_consumers.population.store import Batch, ViewStore
from civicbus_consumers.runtime.process import run_process


def main(arguments: list[str]) -> int:
    """`FILE STEP SKIP`: work until SIGTERM, or die at a step."""
    file, step, skip = arguments
    settings = PopulationSettings.read(Path(file))
    seen = itertools.count()

    def on_step(done: str) -> None:
        if done == step and next(seen) == int(skip):
            os.kill(os.getpid(), signal.SIGKILL)

    write = ViewStore._note

    def note(store: ViewStore, batch: Batch) -> None:
        write(store, batch)
        on_step("written")  # all of the batch is in the transaction, which is still open

    ViewStore._note = note  # type: ignore[method-assign]
    return run_process(settings.name, lambda stop: run(settings, stop, on_step=on_step))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
