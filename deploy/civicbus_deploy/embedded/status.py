"""What `civicbus status` says: which processes run, how far behind they are, the seal's age."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import psutil  # type: ignore[import-untyped]
from civicbus_audit.index.database import make_engine
from civicbus_audit.index.oversight import count_overdue
from civicbus_schemas import telemetry
from civicbus_schemas.errors import BusError, Fatal, Refused, Retryable
from confluent_kafka import KafkaException
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Column, Table

from civicbus_deploy.embedded import ground, lag, postgres
from civicbus_deploy.embedded.asking import get, succeeds
from civicbus_deploy.embedded.failures import NoStack
from civicbus_deploy.embedded.lag import Lag
from civicbus_deploy.embedded.lifecycle import Supervision, supervision
from civicbus_deploy.embedded.own import specs_of
from civicbus_deploy.embedded.ports import HOST
from civicbus_deploy.embedded.screen import paper
from civicbus_deploy.embedded.server import Ground
from civicbus_deploy.embedded.servers import ALL, Servers
from civicbus_deploy.embedded.state import StateFolder, read_json


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """One process as it is now. `ready` is its own answer, not our record of it."""

    name: str
    state: str
    ready: bool
    pid: int | None
    deaths: int
    last_exit: str | None
    memory_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The whole stack. Lags are None while Kafka does not answer, the backlog while sealing.

    The checkpoint's age counts from its publication, or from when it last held every page;
    `unwitnessed_s` from when the first leaf began to wait for a quorum of witnesses.
    `contradictions` is what the scrubber has found and not yet seen mended; None until it has
    compared everything. Reviews of emergencies are None while the index cannot be asked.
    """

    phase: str
    processes: tuple[ProcessState, ...]
    lags: tuple[Lag, ...] | None
    sealing_backlog: int | None
    unwitnessed_s: float | None
    checkpoint_age_s: float | None
    contradictions: int | None
    reviews_overdue: int | None
    supervisor_mib: int

    @property
    def healthy(self) -> bool:
        """Whether all that should run says that it is ready, and no emergency waits too long.

        Where there is an index, it is to say the latter; a stack of servers alone has none.
        """
        ready = all(process.ready for process in self.processes)
        indexed = any(process.name == "indexing" for process in self.processes)
        reviewed = not self.reviews_overdue if not indexed else self.reviews_overdue == 0
        return self.phase == "serving" and ready and reviewed

    @property
    def memory_mib(self) -> int:
        """What all processes hold, shared pages counted once."""
        return self.supervisor_mib + sum(process.memory_mib for process in self.processes)

    def to_json(self) -> dict[str, Any]:
        """For `status --json`."""
        return {**asdict(self), "healthy": self.healthy, "memory_mib": self.memory_mib}


def status(folder: StateFolder) -> Status:
    """Ask everything that should run in this folder."""
    if not folder.exists:
        raise NoStack(
            f"there is no stack in {folder.home}",
            expected="a state folder made by civicbus up",
            next_step="civicbus up, or name the folder with --home",
        )
    processes = process_states(folder)
    lags = None
    if any(process.name == "kafka" and process.ready for process in processes):
        lags = _lags(folder)
    gauges = _sealing_gauges(folder)
    backlog, age = gauges.get(telemetry.SEALING_BACKLOG), gauges.get(telemetry.CHECKPOINT_AGE)
    unwitnessed = gauges.get(telemetry.UNWITNESSED_AGE)
    contradictions = gauges.get(telemetry.SCRUB_FAULTS)
    now = supervision(folder)
    return Status(
        phase=phase_of(now),
        processes=processes,
        lags=lags,
        sealing_backlog=None if backlog is None else int(backlog),
        unwitnessed_s=None if unwitnessed is None else round(unwitnessed, 1),
        checkpoint_age_s=_checkpoint_age_s(folder) if age is None else round(age, 1),
        contradictions=None if contradictions is None else int(contradictions),
        reviews_overdue=_reviews_overdue(folder),
        supervisor_mib=_memory_mib(now.identity.pid) if now and now.alive else 0,
    )


def phase_of(now: Supervision | None) -> str:
    """starting, serving, stopping; `unsupervised` after the supervisor was killed; `down`."""
    if now is None:
        return "down"
    if now.phase == "failed":
        return "down"
    return now.phase if now.alive else "unsupervised"


def _lags(folder: StateFolder) -> tuple[Lag, ...] | None:
    try:
        return lag.measure(folder.home, ground.known_ports(folder)["kafka"])
    except (KafkaException, BusError):
        return None


def process_states(folder: StateFolder) -> tuple[ProcessState, ...]:
    """Every server and own process that the supervisor knows, each asked at the same time."""
    now = supervision(folder)
    reports = dict(now.processes) if now else {}
    ports = ground.known_ports(folder)
    known = Servers(Ground(folder=folder, ports=ports, parts={}), ALL).servers
    urls = {spec.name: spec.ready_url for spec in specs_of(read_json(folder.plan_file))}

    def is_ready(name: str) -> bool:
        return known[name].is_ready() if name in known else succeeds(urls.get(name))

    with ThreadPoolExecutor(max(1, len(reports))) as pool:
        ready = list(pool.map(is_ready, reports))
    return tuple(
        _process_state(name, report, ready=answer)
        for (name, report), answer in zip(reports.items(), ready, strict=True)
    )


def _process_state(name: str, report: Mapping[str, Any], *, ready: bool) -> ProcessState:
    return ProcessState(
        name=name,
        state=report["state"],
        ready=ready,
        pid=report["pid"],
        deaths=report["deaths"],
        last_exit=report["last_exit"],
        memory_mib=_memory_mib(report["pid"]),
    )


def _memory_mib(pid: int | None) -> int:
    """What a process and, of PostgreSQL, its children hold; a page shared by n counts as 1/n."""
    if pid is None:
        return 0
    try:
        process = psutil.Process(pid)
        children = process.children() if process.name() == "postgres" else []
        family = [process, *children]
        return int(sum(process.memory_full_info().pss for process in family) / 2**20)
    except psutil.Error:
        return 0


def _sealing_gauges(folder: StateFolder) -> dict[str, float]:
    """What the sealing process says of itself, labels summed; nothing while it does not answer."""
    port = ground.known_ports(folder)["sealing_health"]
    answer = get(f"http://{HOST}:{port}/metrics")
    return {} if answer is None else gauges_of(answer.text)


def gauges_of(text: str) -> dict[str, float]:
    """Name → sum over its labels; left out where that is nothing but for what is not known."""
    values: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values.setdefault(sample.name, []).append(sample.value)
    known = {
        name: [value for value in found if not math.isnan(value)] for name, found in values.items()
    }
    return {
        name: sum(found)
        for name, found in known.items()
        if len(found) == len(values[name]) or sum(found) > 0
    }


def _reviews_overdue(folder: StateFolder) -> int | None:
    """How many emergencies wait for their review too long; None where the index does not answer."""
    try:
        engine = make_engine(postgres.dsn_file(folder, "indexing"))
    except Refused:
        return None
    try:
        return count_overdue(engine, datetime.now(UTC))
    except (Retryable, Fatal):
        return None
    finally:
        engine.dispose()


def _checkpoint_age_s(folder: StateFolder) -> float | None:
    """The same from the file, while sealing does not answer; None before the first checkpoint."""
    try:
        return round(time.time() - (folder.ledger / "checkpoint").stat().st_mtime, 1)
    except FileNotFoundError:
        return None


def show(found: Status) -> None:
    """Print it for people, on stdout."""
    console = paper()
    processes = Table("process", "state", "ready", "pid", "deaths", "MiB", title=found.phase)
    for process in found.processes:
        processes.add_row(
            process.name,
            process.state if process.last_exit is None else f"{process.state}, {process.last_exit}",
            "[green]yes" if process.ready else "[red]no",
            str(process.pid or "-"),
            str(process.deaths),
            str(process.memory_mib),
        )
    console.print(processes)
    _show_lags(console, found.lags)
    console.print(f"memory {found.memory_mib:,} MiB")
    console.print(f"pages waiting for their seal: {_known(found.sealing_backlog)}")
    console.print(f"leaves wait for their witnesses: {_known(found.unwitnessed_s)} s")
    console.print(f"age of the checkpoint: {_known(found.checkpoint_age_s)} s")
    console.print(f"contradictions that scrubbing found: {_known(found.contradictions)}")
    console.print(f"emergencies without a review after 24 h: {_known(found.reviews_overdue)}")


def _show_lags(console: Console, lags: Sequence[Lag] | None) -> None:
    """Who is behind; those who are at the end are counted (`--json` has them all)."""
    if lags is None:
        console.print("readers at the end of their topic: -")
        return
    behind = [row for row in lags if row.messages]
    if behind:
        topic = Column("topic", overflow="fold")
        table = Table(topic, "group", "recipient", "messages", "seconds", title="behind")
        for row in behind:
            cells = (row.topic, row.group, row.recipient or "-", f"{row.messages:,}")
            table.add_row(*cells, f"{row.seconds:.1f}")
        console.print(table)
    console.print(f"readers at the end of their topic: {len(lags) - len(behind)} of {len(lags)}")


def _known(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"
