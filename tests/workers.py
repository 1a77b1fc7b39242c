"""Own processes that kill or pause themselves at a step, for the tests of invariants.

`python -m tests.workers enforcement --settings FILE --die-at page-sent:3` dies by SIGKILL when it
comes to that step for the third time; `--pause-at` stops itself there by SIGSTOP; at `--jump-at`
its time of day, which else stands still, is set an hour ahead; `--die-on ID` dies whenever it reads
the event with that id. `lookup --die-at untold` dies when the registry has committed a change and
tells nobody yet, `--die-at unmarked` when it has told, and not yet noted it. `officers --die-at
recorded` dies when a question is on record and nothing was read for it yet. `flags --die-at folded`
dies before a batch is written, `--die-at applied` behind it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from civicbus_consumers.consent.registry.events import Teller
from civicbus_consumers.consent.registry.store import RegistryStore
from civicbus_consumers.enforcement import deciding, handler
from civicbus_consumers.enforcement.app import run
from civicbus_consumers.enforcement.clock import SYSTEM_CLOCK, Clock
from civicbus_consumers.enforcement.rules import Taken
from civicbus_consumers.enforcement.settings import EnforcementSettings
from civicbus_consumers.flags import app as flags
from civicbus_consumers.flags.settings import FlagsSettings
from civicbus_consumers.lookup import app as lookup
from civicbus_consumers.officers import app as officers
from civicbus_consumers.officers.settings import OfficersSettings
from civicbus_consumers.runtime.process import run_process


def at_step(place: str, act: Callable[[], None]) -> Callable[[str], None]:
    """Does something at the n-th coming of a step, `step:n`."""
    step, _, nth = place.partition(":")
    seen: Counter[str] = Counter()

    def on_step(now: str) -> None:
        seen[now] += 1
        if now == step and seen[now] == int(nth or 1):
            act()

    return on_step


def die() -> None:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def pause() -> None:
    """Be stopped until somebody continues this process."""
    os.kill(os.getpid(), signal.SIGSTOP)


class JumpingDay:
    """A clock that stands still, so that no batch grows old, until somebody sets it ahead."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)
        self.clock = Clock(now=lambda: self._now, monotonic=lambda: 0.0)

    def jump(self) -> None:
        """Set it an hour ahead."""
        self._now += timedelta(hours=1)


def die_on(event_id: str) -> None:
    """Make reading one event deadly, as a defect in a decoder would."""
    read_event = deciding.read_event

    def deadly(taken: Taken, *arguments: Any, **options: Any) -> Any:
        if ("ce_id", event_id.encode()) in taken.headers:
            die()
        return read_event(taken, *arguments, **options)

    deciding.read_event = deadly


def registry_dies_at(step: str) -> None:
    """Make telling a consent's change, or noting that it was told, deadly."""

    def deadly(*_arguments: Any, **_options: Any) -> Any:
        die()

    match step:
        case "untold":
            Teller.event = deadly  # type: ignore[method-assign]
        case "unmarked":
            RegistryStore.mark_published = deadly  # type: ignore[method-assign]
        case _:
            raise AssertionError(step)


def main() -> int:
    """Run one room."""
    parser = argparse.ArgumentParser()
    parser.add_argument("room", choices=["enforcement", "lookup", "officers", "flags"])
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--die-at")
    parser.add_argument("--pause-at")
    parser.add_argument("--jump-at")
    parser.add_argument("--die-on")
    options = parser.parse_args()
    if options.room == "lookup":
        registry_dies_at(options.die_at)
        return lookup.main(["--settings", str(options.settings)])
    if options.room == "officers":
        asked = OfficersSettings.read(options.settings)
        deadly = at_step(options.die_at, die)
        return run_process(asked.name, lambda stop: officers.run(asked, stop, on_step=deadly))
    if options.room == "flags":
        flagging = FlagsSettings.read(options.settings)
        deadly = at_step(options.die_at, die)
        return run_process(flagging.name, lambda stop: flags.run(flagging, stop, on_step=deadly))
    settings = EnforcementSettings.read(options.settings)
    on_step: Callable[[str], None] = handler.nothing
    clock = SYSTEM_CLOCK
    if options.die_at:
        on_step = at_step(options.die_at, die)
    if options.pause_at:
        on_step = at_step(options.pause_at, pause)
    if options.jump_at:
        day = JumpingDay()
        on_step, clock = at_step(options.jump_at, day.jump), day.clock
    if options.die_on:
        die_on(options.die_on)
    return run_process(
        settings.name, lambda stop: run(settings, stop, on_step=on_step, clock=clock)
    )


if __name__ == "__main__":
    sys.exit(main())
