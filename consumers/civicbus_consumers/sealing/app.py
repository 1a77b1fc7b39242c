"""The sealing process: settings, health, and the loop that seals until it is told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer, Verifier
from civicbus_audit.quorum import Policy
from civicbus_audit.sealer import Sealed, Sealer
from civicbus_audit.witness.client import http_witnesses
from civicbus_audit.witnessing import Witnessing
from civicbus_schemas import telemetry
from civicbus_schemas.errors import Retryable
from civicbus_schemas.topics import AUDIT_PAGE
from prometheus_client import Counter, Gauge, Histogram

from civicbus_consumers.recording.signing import read_signing_key
from civicbus_consumers.runtime.health import Health, serving_health
from civicbus_consumers.runtime.process import run_process
from civicbus_consumers.runtime.tracing import configure_tracing
from civicbus_consumers.scrubbing.passing import Sides
from civicbus_consumers.scrubbing.scrubber import Scrubber
from civicbus_consumers.scrubbing.topic import KafkaPages
from civicbus_consumers.sealing.cosigning import Cosigning
from civicbus_consumers.sealing.handler import OnStep, seal_batch
from civicbus_consumers.sealing.rules import Fuse
from civicbus_consumers.sealing.settings import RecorderKeys, SealingSettings
from civicbus_consumers.sealing.source import PageSource

log = structlog.get_logger("civicbus.sealing")

SURVEY_S = 1.0
SKEW_S = 30.0  # as long as a recorder may try to send a page
RETRY_S = 1.0

_pages = Counter(telemetry.SEALED_PAGES_TOTAL, "Pages sealed, repetitions among them")
_leaves = Counter(telemetry.LEAVES_TOTAL, "Leaves appended to the ledger")
_findings = Counter(telemetry.SEALING_FINDINGS_TOTAL, "What was wrong with pages", ["finding"])
_skew = Gauge(telemetry.SEALING_SKEW, "The broker's time less the page's own, where most apart")
_seconds = Histogram(telemetry.SEALING_BATCH_SECONDS, "From taking pages to their checkpoint")
_size = Gauge(telemetry.CHECKPOINT_SIZE, "Leaves under the newest checkpoint")
_backlog = Gauge(telemetry.SEALING_BACKLOG, "Pages on the topic that are not sealed yet")
_age = Gauge(telemetry.CHECKPOINT_AGE, "Seconds since a checkpoint was published or still held all")


def main(arguments: list[str] | None = None) -> int:
    """Run the process that `--settings FILE` describes; its exit code."""
    settings = SealingSettings.from_command_line(arguments)
    return run_process(settings.name, lambda stop: run(settings, stop))


def run(
    settings: SealingSettings,
    stop: threading.Event,
    *,
    topic: str = AUDIT_PAGE,
    on_step: OnStep = lambda _step: None,
) -> None:
    """Seal until `stop` is set; raises what ends the process."""
    key, _ = read_signing_key(settings.log_key_file)
    signer = Signer(settings.origin, key)
    configure_tracing(settings.name, endpoint=settings.otlp_endpoint, ratio=settings.trace_ratio)
    with serving_health(settings.health_port) as health:
        policy = settings.policy
        with Ledger.open(
            settings.ledger_dir, origin=settings.origin, signer=signer, policy=policy
        ) as ledger:
            sealer = Sealer(
                ledger,
                keys=RecorderKeys(settings.recorder_keys_file),
                commit_every=timedelta(seconds=settings.commit_every_s),
            )
            witnessing = _witnessing(settings, policy)
            cosigning = Cosigning(ledger, witnessing, limits=settings.limits)
            source = PageSource(settings, position=sealer.position, topic=topic)
            scrubber = Scrubber(
                lambda: scrubbed_sides(settings, signer.verifier, topic=topic),
                rhythm=settings.rhythm,
            )
            scrubber.start()
            log.info("open", position=sealer.position, size=sealer.checkpoint.size)
            parts = Parts(
                source=source,
                sealer=sealer,
                cosigning=cosigning,
                alarm=lambda: scrubber.alarm,
            )
            try:
                Sealing(parts, health=health).run(stop, on_step=on_step)
            finally:
                scrubber.close()
                source.close()
                if witnessing is not None:
                    witnessing.close()


def scrubbed_sides(
    settings: SealingSettings, log_key: Verifier, *, topic: str = AUDIT_PAGE
) -> Sides:
    """What the scrubber compares; it reads as readers do, and has nothing of the open ledger."""
    return Sides(
        ledger_dir=settings.ledger_dir,
        trust=settings.policy or log_key,
        log=log_key,
        dsn_file=settings.postgres_dsn_file,
        pages=KafkaPages(settings, topic=topic),
    )


def _witnessing(settings: SealingSettings, policy: Policy | None) -> Witnessing | None:
    if policy is None:
        return None
    timeout_s = settings.witness_timeout_s
    return Witnessing(policy, http_witnesses(policy, timeout_s=timeout_s), timeout_s=timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What sealing takes from, writes to and asks; `alarm` is what the scrubber found."""

    source: PageSource
    sealer: Sealer
    cosigning: Cosigning
    alarm: Callable[[], str | None] = lambda: None


class Sealing:
    """The loop and what it tells of itself."""

    def __init__(self, parts: Parts, *, health: Health) -> None:
        self._source, self._sealer = parts.source, parts.sealer
        self._cosigning, self._alarm = parts.cosigning, parts.alarm
        self._health = health
        self._surveyed = self._level = time.monotonic()
        _size.set(self._sealer.checkpoint.size)
        _age.set_function(lambda: time.monotonic() - self._level)

    def run(self, stop: threading.Event, *, on_step: OnStep) -> None:
        """Seal until `stop` is set. A broker that does not answer makes the process unready.

        So do witnesses that are no quorum; after a set time no pages are taken until they are.
        """
        while not stop.is_set():
            self._health.beat()
            begun = time.monotonic()
            try:
                fuse = self._cosigning.fuse
                sealed = None
                if fuse is Fuse.BLOWN:
                    stop.wait(RETRY_S)
                else:
                    sealed = seal_batch(self._source, self._sealer, on_step=on_step)
                self._cosigning.keep_up()
                self._survey(idle=sealed is None)
            except Retryable as error:
                self._health.unready(str(error))
                log.warning("waiting", error=type(error).__name__, why=str(error))
                stop.wait(RETRY_S)
                continue
            self._tell_health(self._cosigning.fuse)
            if sealed is not None:
                self._report(sealed, seconds=time.monotonic() - begun)

    def _tell_health(self, fuse: Fuse) -> None:
        waited_s = round(self._cosigning.unwitnessed_s)
        match fuse:
            case Fuse.WHOLE if (alarm := self._alarm()) is not None:
                self._health.unready(alarm)  # and goes on: the ledger is what must not stop
            case Fuse.WHOLE:
                self._health.ready()
            case Fuse.WARNING:
                self._health.unready(f"no quorum of witnesses for {waited_s} s")
            case Fuse.BLOWN:
                self._health.unready(f"no quorum for {waited_s} s: no pages are sealed")

    def _survey(self, *, idle: bool) -> None:
        """Once a second: how much is left; raises `SourceRegressed` when pages were taken away."""
        now = time.monotonic()
        if now - self._surveyed < SURVEY_S:
            return
        until = datetime.now(UTC)
        backlog = self._source.backlog()
        self._surveyed = now
        _backlog.set(backlog)
        if idle and backlog == 0:
            if self._cosigning.unwitnessed_s == 0:
                self._level = now
            if self._cosigning.fuse is not Fuse.BLOWN:  # else whoever records is to stop, too
                self._source.say_level(until)

    def _report(self, sealed: Sealed, *, seconds: float) -> None:
        if self._cosigning.unwitnessed_s == 0:
            self._level = time.monotonic()
        _seconds.observe(seconds)
        _pages.inc(sealed.pages)
        _leaves.inc(sealed.leaves)
        _size.set(sealed.checkpoint.size)
        _skew.set(sealed.skew_s)
        if abs(sealed.skew_s) > SKEW_S:
            log.error("page of another time", skew_s=round(sealed.skew_s, 1))
        for finding, count in sealed.findings.items():
            _findings.labels(finding.value).inc(count)
            log.error("page with a finding", finding=finding.value, count=count)
