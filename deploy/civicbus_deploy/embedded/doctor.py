"""What `civicbus doctor` finds: a colour for every part, and for what is not green the next step.

Rules are pure functions of what was measured; `examine` measures. Yellow: works, or is merely not
running. Red: will not work until somebody does the next step.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.table import Table

from civicbus_deploy.embedded.screen import paper
from civicbus_deploy.embedded.status import ProcessState

GIB = 1 << 30


class Colour(StrEnum):
    """How a part does."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One part. `next_step` is empty only where it is green."""

    part: str
    colour: Colour
    text: str
    next_step: str = ""

    def to_json(self) -> dict[str, Any]:
        """For `doctor --json`."""
        return {"colour": self.colour, "text": self.text, "next_step": self.next_step}


def green(part: str, text: str) -> Finding:
    """All is well."""
    return Finding(part=part, colour=Colour.GREEN, text=text)


def yellow(part: str, text: str, next_step: str) -> Finding:
    """It works, or waits for a command."""
    return Finding(part=part, colour=Colour.YELLOW, text=text, next_step=next_step)


def red(part: str, text: str, next_step: str) -> Finding:
    """It does not work."""
    return Finding(part=part, colour=Colour.RED, text=text, next_step=next_step)


def judge_disk(part: str, free: int) -> Finding:
    """Room on a disk: 2 GiB is comfortable, less than half a GiB will break the stack."""
    text = f"{free / GIB:.1f} GiB free"
    if free >= 2 * GIB:
        return green(part, text)
    step = "free some room, or choose another place with --home or XDG_CACHE_HOME"
    return yellow(part, text, step) if free >= GIB // 2 else red(part, text, step)


def judge_memory(available: int, used: int) -> Finding:
    """The stack needs up to 3 GiB; what it holds already counts as available to it."""
    text = f"{available / GIB:.1f} GiB available, {used / GIB:.1f} GiB held by the stack"
    if available + used >= 3 * GIB:
        return green("memory", text)
    return yellow("memory", text, "close other programs, or expect the kernel to end processes")


def judge_modes(part: str, wrong: Iterable[tuple[Path, int]]) -> Finding:
    """Files and folders that others may touch, with the mode that they should have."""
    listed = list(wrong)
    if not listed:
        return green(part, "closed to others")
    fixes = "; ".join(f"chmod {mode:o} {path}" for path, mode in listed[:5])
    return red(part, f"{len(listed)} open to others", f"{fixes}; renew secrets others could read")


def judge_port(name: str, port: int, *, free: bool, running: bool) -> Finding:
    """A kept port: ours while the stack runs, free while it does not."""
    part = f"port {name}"
    if running or free:
        return green(part, f"{port}, {'in use by the stack' if running else 'free'}")
    step = f"end the process that holds it, or remove ports.{name} from stack.json"
    return red(part, f"{port} is held by somebody else", step)


def judge_process(process: ProcessState, log: Path) -> Finding:
    """A process the supervisor keeps."""
    if process.ready and process.deaths == 0:
        return green(process.name, f"ready, {process.memory_mib} MiB")
    if process.ready:
        text = f"ready; {process.deaths} deaths, the last: {process.last_exit}"
        return yellow(process.name, text, f"read {log}")
    if process.state == "up":
        return red(process.name, "runs, and does not say that it is ready", f"read {log}")
    return red(process.name, f"not running: {process.last_exit}", f"read {log}")


def judge_phase(phase: str) -> Finding:
    """The supervisor itself."""
    match phase:
        case "serving":
            return green("supervisor", "watching")
        case "down":
            return yellow("supervisor", "the stack is down", "civicbus up")
        case "unsupervised":
            return red("supervisor", "was killed; nothing is restarted", "civicbus up")
        case _:
            return yellow("supervisor", phase, "wait a moment, then civicbus status")


def open_to_others(paths: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    """Those of our closed files and folders that group or others may touch."""
    for path in paths:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield path, 0o700 if path.is_dir() else 0o600


def show(findings: Iterable[Finding]) -> None:
    """Print them for people, on stdout."""
    table = Table("part", "", "finding", "next step")
    for finding in findings:
        colour = f"[{finding.colour}]{finding.colour}"
        table.add_row(finding.part, colour, finding.text, finding.next_step)
    paper().print(table)
