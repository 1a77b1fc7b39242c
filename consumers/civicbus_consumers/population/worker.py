"""The Faust worker of view and flags: takes batches, has them applied in a thread, then acks.

Faust commits the event whose agent raised, so the agent never raises: it reports the failure and
waits to be ended, and the transport commits no further than the view anyway.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import faust
from civicbus_audit.defects import kind_and_place
from civicbus_producers.settings import read_secret
from civicbus_schemas.errors import BusError, Fatal, Unavailable

from civicbus_consumers.population.incoming import Incoming, Partition
from civicbus_consumers.population.settings import WorkerSettings
from civicbus_consumers.population.transport import SCHEME
from civicbus_consumers.runtime.health import Health

_POLL_S = 0.2
_STOP_S = 20.0


class Handler(Protocol):
    """What the worker needs of `handler.ViewHandler`, or of the flags' handler."""

    @property
    def positions(self) -> Mapping[Partition, int]:
        """The next offset of each partition that was applied."""

    def handle(self, messages: Sequence[Incoming]) -> None:
        """Apply a batch, or raise."""


class ViewApp(faust.App):  # type: ignore[misc]
    """An app whose transport commits what was `applied`, and no more."""

    handler: Handler
    failure: asyncio.Future[None]
    applying: bool = False

    @property
    def applied(self) -> Mapping[Partition, int]:
        """The next offset of each partition that was applied."""
        return self.handler.positions


def build_app(settings: WorkerSettings, handler: Handler, *, scheme: str = SCHEME) -> ViewApp:
    """An app for one run, to be started inside a running event loop."""
    app = ViewApp(
        settings.group,
        broker=[f"{scheme}://{server}" for server in settings.bootstrap.split(",")],
        broker_credentials=_credentials(settings),
        broker_client_id=settings.name,
        broker_session_timeout=10.0,
        broker_request_timeout=30.0,
        broker_heartbeat_interval=3.0,
        broker_commit_interval=1.0,
        broker_max_poll_records=settings.batch_messages,
        consumer_auto_offset_reset="none",
        consumer_group_instance_id=settings.name,
        stream_wait_empty=False,
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        key_serializer="raw",
        value_serializer="raw",
        datadir=Path("/nonexistent"),
        loop=asyncio.get_running_loop(),
    )
    app.handler = handler
    app.failure = asyncio.get_running_loop().create_future()
    messages = app.topic(*settings.topics, key_type=bytes, value_type=bytes)

    @app.agent(messages, name="apply")  # type: ignore[untyped-decorator]
    async def apply(stream: Any) -> None:
        batches = stream.noack_take(settings.batch_messages, within=settings.batch_wait_s)
        async for events in batches:
            if not await _applied(app, [_incoming(event.message) for event in events]):
                await asyncio.Event().wait()  # until the process ends
            for event in events:
                await stream.ack(event)

    return app


async def serve(app: ViewApp, *, health: Health, stop: threading.Event) -> None:
    """Run the app until asked to stop; raises what ended it otherwise."""
    await app.start()
    try:
        while not stop.is_set():
            if not app.applying:  # a batch that never ends makes the process silent
                health.beat()
            _report(app, health)
            await asyncio.wait({app.failure}, timeout=_POLL_S)
            if app.failure.done():
                app.failure.result()
            if app.crashed:
                raise Unavailable(
                    "the connection to Kafka was lost", got=type(app.crash_reason).__name__
                )
    finally:
        health.unready("stopping")
        await asyncio.wait_for(app.stop(), _STOP_S)


async def _applied(app: ViewApp, messages: Sequence[Incoming]) -> bool:
    """Apply a batch in a thread, so that heartbeats go on; report the failure if there is one."""
    work = asyncio.get_running_loop().run_in_executor(None, app.handler.handle, messages)
    app.applying = True
    await asyncio.wait({work})
    app.applying = False
    error = work.exception()
    if error is not None and not app.failure.done():
        app.failure.set_exception(without_data(error))
    return error is None


def without_data(error: BaseException) -> BusError:
    """An error of ours as it is; of another only its type and place: its text may hold data."""
    if isinstance(error, BusError):
        return error
    told = kind_and_place(error)
    return Fatal("a batch could not be applied", got=told, next_step="report this defect")


def _report(app: ViewApp, health: Health) -> None:
    if app.consumer.assignment():
        health.ready()
    else:
        health.unready("no partition is assigned")


def _incoming(message: Any) -> Incoming:
    headers = message.headers or ()
    return Incoming(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        at=datetime.fromtimestamp(message.timestamp, UTC),
        headers=headers.items() if isinstance(headers, dict) else headers,
        value=message.value,
    )


def _credentials(settings: WorkerSettings) -> Any:
    secure = settings.security_protocol == "SASL_SSL"
    return faust.SASLCredentials(
        username=settings.username,
        password=read_secret(settings.password_file),
        mechanism=settings.sasl_mechanism,
        ssl_context=_ssl_context() if secure else None,
    )


def _ssl_context() -> Any:
    import ssl  # only where the broker is not on this machine

    return ssl.create_default_context()
