"""Agencies' systems as a process of their own, every event in a trace of its own.

`python -m tests.agencies --home H --otlp URL births 3` or `... population 40 400 7` (persons,
events, seed).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from civicbus_consumers.runtime.tracing import configure_tracing
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.simulation import Emission, generate
from civicbus_producers.publisher import Publisher
from civicbus_producers.settings import Connection
from civicbus_schemas.ids import AgencyId

from tests.bus import ROOT, Bus
from tests.lives import birth, child_pin


def emissions_of(what: str, numbers: list[int]) -> Iterable[Emission]:
    """The events that are meant, always the same."""
    match what, numbers:
        case "births", [count]:
            return ((AgencyId("moj"), birth(n), child_pin(n)) for n in range(1, count + 1))
        case "population", [persons, events, seed]:
            return generate(persons, events, seed)
        case _:
            raise SystemExit(f"no such events: {what} {numbers}")


def publish(folder: StateFolder, emissions: Iterable[Emission]) -> None:
    """Publish everything, each agency through its own publisher."""
    publishers: dict[AgencyId, Publisher] = {}
    with ExitStack() as open_ones:
        for agency, event, subject in emissions:
            if agency not in publishers:
                settings = Connection.read(folder.agencies / f"{agency}.json")
                publisher = Publisher.connect(agency, settings=settings)
                publishers[agency] = open_ones.enter_context(publisher)
            publishers[agency].publish(event, subject=subject)


def publish_traced(bus: Bus, *what: object) -> None:
    """Run this module: publish as agencies do, from a process that traces every event."""
    otlp = f"http://127.0.0.1:{bus.stack.ports['otlp']}/v1/traces"
    command = [sys.executable, "-m", "tests.agencies", "--home", str(bus.stack.home)]
    subprocess.run([*command, "--otlp", otlp, *map(str, what)], cwd=ROOT, check=True)


def main() -> None:
    """Publish what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--otlp", required=True)
    parser.add_argument("what", choices=["births", "population"])
    parser.add_argument("numbers", type=int, nargs="+")
    options = parser.parse_args()
    configure_tracing("agencies", endpoint=options.otlp, ratio=1.0)
    publish(StateFolder.at(options.home), emissions_of(options.what, options.numbers))


if __name__ == "__main__":
    main()
