"""The day's traffic: synthetic lives published by seven agencies, while a worker is killed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from civicbus_producers.publisher import Publisher

from civicbus_deploy.demo.scene import Scene
from civicbus_deploy.demo.teller import Teller
from civicbus_deploy.simulation import Emission

VICTIM = "enforce-0"
KILL_AFTER = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What was published, and how long it took until everybody had worked on it."""

    published: int
    seconds: float

    @property
    def events_per_second(self) -> float:
        """From the first publish until nothing was left to decide, deliver, view or seal."""
        return round(self.published / self.seconds, 1)


def publish_day(scene: Scene, teller: Teller, emissions: Iterable[Emission], *, count: int) -> Day:
    """Publish everything, kill a worker in the midst of it, and wait until all is worked on."""
    teller.chapter("A day's traffic, and a worker killed in mid-batch")
    started = time.monotonic()
    published = 0
    with ExitStack() as stack, teller.progress() as bar:
        publishers: dict[str, Publisher] = {}
        task = bar.add_task("publishing", total=count, rate="")
        for agency, event, subject in emissions:
            if agency not in publishers:
                publishers[agency] = stack.enter_context(scene.publisher(agency))
            publishers[agency].publish(event, subject=subject)
            published += 1
            if published == int(count * KILL_AFTER):
                pid = scene.kill(VICTIM)
                teller.say(f"{VICTIM} (process {pid}) was killed after {published} events.")
            if published % 200 == 0:
                rate = published / (time.monotonic() - started)
                bar.update(task, completed=published, rate=f"{rate:,.0f}/s")
    await_rest(scene, teller)
    return Day(published=published, seconds=time.monotonic() - started)


def await_rest(scene: Scene, teller: Teller) -> None:
    """Wait until no own process has anything left to do."""
    with teller.progress() as bar:
        task = bar.add_task("working on it", total=None, rate="")

        def is_done() -> bool:
            left = sum(scene.backlog().values())
            bar.update(task, rate=f"{left:,} messages left")
            return left == 0

        scene.wait(is_done, "the bus to work on everything")
