"""The consent process: settings, health, and the loop that folds until it is told to stop."""

from __future__ import annotations

import threading
import time

import structlog
from civicbus_producers.kafka import client_config, kafka_errors_translated
from civicbus_producers.registry import Registry
from civicbus_producers.settings import read_key
from civicbus_schemas import telemetry
from civicbus_schemas.consent import SUBJECT_CONSENTS
from civicbus_schemas.errors import Retryable, Stopped
from civicbus_schemas.topics import SourceTopic
from confluent_kafka.admin import AdminClient
from prometheus_client import Counter, Gauge, Histogram

from civicbus_consumers.consent.changes import ChangeReader
from civicbus_consumers.consent.handler import ConsentFolder, OnStep
from civicbus_consumers.consent.settings import ConsentSettings
from civicbus_consumers.consent.states import Batch
from civicbus_consumers.consent.territory import Territory, consent_sources
from civicbus_consumers.runtime.health import Health, serving_health
from civicbus_consumers.runtime.process import run_process
from civicbus_consumers.runtime.tracing import configure_tracing

log = structlog.get_logger("civicbus.consent")

RETRY_S = 1.0
SURVEY_S = 60.0

_events = Counter(telemetry.CONSENT_EVENTS_TOTAL, "Consent events by what they came to", ["result"])
_seconds = Histogram(telemetry.CONSENT_BATCH_SECONDS, "Time to fold and commit one batch")
_subjects = Gauge(telemetry.CONSENT_SUBJECTS, "Subjects with a consent state in this process")


def main(arguments: list[str] | None = None) -> int:
    """Run the process that `--settings FILE` describes; its exit code."""
    settings = ConsentSettings.from_command_line(arguments)
    return run_process(settings.name, lambda stop: run(settings, stop))


def run(
    settings: ConsentSettings,
    stop: threading.Event,
    *,
    territory: Territory | None = None,
    on_step: OnStep = lambda _step: None,
) -> None:
    """Fold until `stop` is set; raises what ends the process. `territory` is found by default."""
    configure_tracing(settings.name, endpoint=settings.otlp_endpoint, ratio=settings.trace_ratio)
    with serving_health(settings.health_port) as health:
        registry = Registry(settings.registry_url)
        survey = Survey(settings, fixed=territory)
        folder = ConsentFolder(
            settings,
            territory=survey.territory,
            reader=ChangeReader(registry, topic_key=read_key(settings.topic_key_file)),
            schema_id=registry.get_id(survey.territory.state, SUBJECT_CONSENTS.document),
            on_step=on_step,
        )
        folder.open()
        log.info("open", group=survey.territory.name, subjects=folder.subjects)
        while not stop.is_set():
            _go_round(folder, health=health, stop=stop)
            survey.check()
        folder.close()


def _go_round(folder: ConsentFolder, *, health: Health, stop: threading.Event) -> None:
    """One batch; what may succeed later makes the process unready, and comes again."""
    health.beat()
    begun = time.monotonic()
    try:
        batch = folder.fold_batch()
    except Retryable as error:
        health.unready(str(error))
        log.warning("waiting", error=type(error).__name__, why=str(error))
        stop.wait(RETRY_S)
        return
    health.ready()
    _subjects.set(folder.subjects)
    if batch.size:
        _report(batch, seconds=time.monotonic() - begun)


def _report(batch: Batch, *, seconds: float) -> None:
    _seconds.observe(seconds)
    _events.labels("changed").inc(batch.changed)
    _events.labels("unchanged").inc(batch.unchanged)
    for message, reason in batch.dead:
        _events.labels("dead-letter").inc()
        log.warning(
            "dead letter",
            topic=message.topic(),
            partition=message.partition(),
            offset=message.offset(),
            reason=reason.value,
        )


class Survey:
    """The sources there are. A new one ends the process, which then begins with all of them."""

    def __init__(self, settings: ConsentSettings, *, fixed: Territory | None) -> None:
        self._admin = AdminClient(client_config(settings, client_id=f"{settings.name}-survey"))
        self._next = time.monotonic() + SURVEY_S
        self._fixed = fixed is not None
        self.territory = fixed or Territory(
            group=settings.group, groups=settings.groups, sources=self._sources()
        )
        if not self.territory.sources:
            raise Stopped(
                "there is no topic with consent events",
                expected="src.<agency>.consent.v1",
                next_step="run `civicbus provision`",
            )

    def check(self) -> None:
        """Once a minute: raises `Stopped` when there are other sources than at the beginning."""
        if self._fixed or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + SURVEY_S
        try:
            sources = self._sources()
        except Retryable:
            return
        if sources != self.territory.sources:
            raise Stopped("the sources of consent events have changed", next_step="start again")

    def _sources(self) -> tuple[SourceTopic, ...]:
        with kafka_errors_translated("listing topics"):
            return consent_sources(self._admin.list_topics(timeout=10).topics)
