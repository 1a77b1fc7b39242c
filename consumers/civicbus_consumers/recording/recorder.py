"""A recorder: one incarnation of a process that may release, and the chain of its pages.

`write` returns only when the broker has acknowledged the page (invariant I1). If it cannot, the
recorder is finished: nothing may be released on its word, and a new one must begin a new chain.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from civicbus_producers.kafka import flush, kafka_errors_translated, translate
from civicbus_schemas.codec import frame
from civicbus_schemas.errors import Fatal, Unavailable
from civicbus_schemas.ids import PolicyVersion, new_recorder_id
from civicbus_schemas.page import Page, PageRef, Position, Signer, sign_page
from civicbus_schemas.topics import AUDIT_PAGE
from confluent_kafka import KafkaError, Message, Producer

from civicbus_consumers.recording.chain import Chain
from civicbus_consumers.recording.fuse import Fuse
from civicbus_consumers.recording.pages import PageBuilder

OnSent = Callable[[], None]


def _nothing() -> None:
    """What happens between sending and acknowledgement in production."""


class PageLog(Protocol):
    """Where pages become durable."""

    def check(self) -> None:
        """Raise `Unavailable` if nothing may be recorded now."""
        ...

    def append(
        self, body: bytes, *, traceparent: str | None = None, on_sent: OnSent = _nothing
    ) -> None:
        """Return when the page is durable; raise a `BusError` when that is not known."""
        ...


class KafkaPageLog:
    """The page topic, through an idempotent producer that waits for every acknowledgement."""

    def __init__(
        self, producer: Producer, *, schema_id: int, fuse: Fuse, timeout_s: float = 30.0
    ) -> None:
        self._producer, self._schema_id, self._timeout_s = producer, schema_id, timeout_s
        self._fuse = fuse

    def check(self) -> None:
        """Raise `SealingBehind` where the ledger does not take the pages."""
        self._fuse.check()

    def append(
        self, body: bytes, *, traceparent: str | None = None, on_sent: OnSent = _nothing
    ) -> None:
        """Send one page and wait. Raises `Unavailable` or `Fatal`; it may still be there later."""
        outcomes: list[KafkaError | None] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            del message
            outcomes.append(error)

        headers: list[tuple[str, str | bytes | None]] = (
            [("traceparent", traceparent)] if traceparent else []
        )
        with kafka_errors_translated("recording a page"):
            self._producer.produce(
                AUDIT_PAGE,
                value=frame(self._schema_id, body),
                partition=0,
                headers=headers,
                on_delivery=delivered,
            )
            on_sent()
            flush(self._producer, self._timeout_s)
        if not outcomes:
            raise Unavailable("the page topic does not acknowledge", expected="an acknowledgement")
        if outcomes[0] is not None:
            raise translate(outcomes[0], doing="recording a page")


class Recorder:
    """Builds, signs and appends pages; keeps the chain."""

    def __init__(self, log: PageLog, *, chain: Chain, signer: Signer, key: str) -> None:
        self._log, self._signer, self._key = log, signer, key
        self._finished = False
        self.chain = chain

    @property
    def usable(self) -> bool:
        """Whether it has not failed, so that its chain goes on."""
        return not self._finished

    def check(self) -> None:
        """Raise `Unavailable` if nothing may be recorded now; call it before preparing a page."""
        self._log.check()

    def open_page(self, at: datetime) -> PageBuilder:
        """A builder for the next page."""
        return PageBuilder(
            recorder=self.chain.recorder,
            sequence=self.chain.sequence,
            at=at,
            entropy=os.urandom,
        )

    def write(
        self,
        builder: PageBuilder,
        *,
        policy: PolicyVersion | None,
        positions: tuple[Position, ...],
        traceparent: str | None = None,
        on_sent: OnSent = _nothing,
    ) -> Page:
        """Make the page durable. On any error this recorder is finished (`Fatal` from then on).

        But for `SealingBehind`: then nothing was sent, and it goes on when the fuse holds again.
        """
        if self._finished:
            raise Fatal("this recorder has failed before", next_step="begin a new one")
        self.check()
        header = self.chain.header(
            builder.leaves, policy=policy, at=builder.at, positions=positions
        )
        page = sign_page(
            header,
            records=builder.leaves,
            sealed=builder.sealed,
            signer=self._signer,
            key=self._key,
        )
        self._finished = True
        self._log.append(page.encode(), traceparent=traceparent, on_sent=on_sent)
        self._finished = False
        self.chain = self.chain.after(page)
        return page

    def successor(self) -> Recorder:
        """A new recorder on the same log, for when a durable page will never be released."""
        return Recorder(
            self._log,
            chain=self.chain.successor(new_recorder_id()),
            signer=self._signer,
            key=self._key,
        )

    def mark_released(self, page: Page) -> PageRef:
        """The page's transaction is committed: the next header will say so."""
        self.chain = self.chain.after_release(page)
        return self.chain.ref(page)
