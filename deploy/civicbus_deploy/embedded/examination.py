"""Measures this machine and one state folder for the doctor; changes nothing."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from civicbus_schemas.errors import BusError

from civicbus_deploy.embedded import (
    artifacts,
    doctor,
    ground,
    java,
    ports,
    postgres,
    pseudonyms,
)
from civicbus_deploy.embedded.doctor import Finding, green, red, yellow
from civicbus_deploy.embedded.lifecycle import supervision
from civicbus_deploy.embedded.machine import check_platform, free_bytes, unprivileged_user
from civicbus_deploy.embedded.state import StateFolder
from civicbus_deploy.embedded.status import ProcessState, phase_of, process_states


def examine(folder: StateFolder) -> tuple[Finding, ...]:
    """A finding for every part of machine, folder and stack."""
    processes = process_states(folder) if folder.exists else ()
    phase = phase_of(supervision(folder))
    return (
        *_machine(),
        *_parts(),
        *_places(folder),
        _memory(processes),
        *_ports(folder, processes),
        doctor.judge_phase(phase),
        *(doctor.judge_process(process, folder.log(process.name)) for process in processes),
    )


def _machine() -> Iterator[Finding]:
    yield green("python", platform.python_version())
    try:
        check_platform()
        yield green("platform", f"{platform.system()} {platform.machine()}")
    except BusError as error:
        yield red("platform", error.what, error.next_step or "use another machine")
    try:
        done = subprocess.run(  # noqa: S603
            [java.JAVA, "--version"], capture_output=True, timeout=30, check=False
        )
        works = done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        works = False
    if works:
        yield green("java", java.VERSION)
    else:
        yield red("java", f"{java.JAVA} does not run", "make setup")


def _parts() -> Iterator[Finding]:
    """Whether the cache holds every part, judged by size; `up` compares the sums."""
    cache = artifacts.cache_folder()
    every = [artifact for part in artifacts.PARTS for artifact in artifacts.committed(part)]
    missing = artifacts.missing_bytes(every, cache)
    if missing:
        yield yellow("parts", f"{missing:,} bytes to fetch into {cache}", "civicbus up")
    else:
        yield green("parts", f"{len(every)} in {cache}")


def _places(folder: StateFolder) -> Iterator[Finding]:
    yield doctor.judge_disk("disk", free_bytes(_nearest(folder.home)))
    yield doctor.judge_disk("disk of the cache", free_bytes(_nearest(artifacts.cache_folder())))
    if not folder.exists:
        yield yellow("folder", f"{folder.home} is not made yet", "civicbus up")
        return
    yield green("folder", str(folder.home))
    closed = [path for path in folder.closed_folders if path.exists()]
    yield doctor.judge_modes("folders", doctor.open_to_others(closed))
    secrets = [*folder.secrets.iterdir(), *folder.agencies.iterdir(), *folder.processes.iterdir()]
    yield doctor.judge_modes("secrets", doctor.open_to_others(secrets))
    yield _keys(folder)
    user = unprivileged_user()
    runs_as = f", as {user.name}" if user else ""
    yield green("postgres folder", f"{postgres.place(folder)}{runs_as}")


def _keys(folder: StateFolder) -> Finding:
    """Whether a former pairwise key is to be destroyed."""
    at = datetime.now(UTC)
    try:
        keyring = pseudonyms.read_keyring(folder)
    except BusError as error:
        return red("pairwise keys", error.what, error.next_step or "restore the keyring")
    due = [a for a, k in keyring.items() if k.former is not None and k.is_over(at)]
    if due:
        text = f"the former key of {', '.join(due)} is to be destroyed"
        return yellow("pairwise keys", text, "civicbus pseudonyms retire")
    return green("pairwise keys", f"of {len(keyring)} recipients")


def _nearest(path: Path) -> Path:
    """The folder itself, or the nearest one above that exists."""
    return next(place for place in (path, *path.parents) if place.exists())


def _memory(processes: tuple[ProcessState, ...]) -> Finding:
    used = sum(process.memory_mib for process in processes) << 20
    return doctor.judge_memory(psutil.virtual_memory().available, used)


def _ports(folder: StateFolder, processes: tuple[ProcessState, ...]) -> Iterator[Finding]:
    if not folder.exists:
        return
    alive = {process.name for process in processes if process.pid}
    for name, port in ground.known_ports(folder).items():
        running = _owner(name) in alive
        yield doctor.judge_port(name, port, free=ports.is_free(port), running=running)


def _owner(port_name: str) -> str:
    """The process that listens on a named port."""
    return port_name.removesuffix("_health").removesuffix("_controller").removesuffix("_management")
