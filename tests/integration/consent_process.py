"""A consent process on a test's topics that sends itself a signal after a step (kill tests)."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from civicbus_consumers.consent.app import run
from civicbus_consumers.consent.handler import Step
from civicbus_consumers.consent.settings import ConsentSettings
from civicbus_consumers.consent.territory import Territory
from civicbus_consumers.runtime.process import run_process
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.topics import SourceTopic


def main(arguments: list[str]) -> int:
    """`FILE AGENCY STEP SIGNAL SKIP`: fold until SIGTERM, or until the step's signal."""
    file, agency, step, number, skip = arguments
    settings = ConsentSettings.read(Path(file))
    territory = Territory(
        group=settings.group,
        sources=(SourceTopic(AgencyId(agency), "consent"),),
        state=f"state.{agency}.v1",
    )
    seen = itertools.count()

    def on_step(done: Step) -> None:
        if done.value == step and next(seen) == int(skip):
            os.kill(os.getpid(), int(number))

    return run_process(
        settings.name, lambda stop: run(settings, stop, territory=territory, on_step=on_step)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
