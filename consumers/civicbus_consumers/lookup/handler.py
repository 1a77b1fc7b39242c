"""Answering look-ups: read, decide, cut, record, and only then answer. Read this one first.

The steps are numbered as in `answer_batch`. What is waiting is answered together: one catching up,
one page, one acknowledgement. An answer that could not be recorded does not exist (invariant I1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from civicbus_producers.tracing import traceparent
from civicbus_schemas.errors import BusError, Refused, Retryable
from civicbus_schemas.page import Page, Position

from civicbus_consumers.lookup.bench import Bench, Lookup
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.lookup.replies import Reply, make_reply, subjects_of
from civicbus_consumers.lookup.reserving import pass_limits, reserve_uses
from civicbus_consumers.recording.pages import PageBuilder
from civicbus_consumers.recording.recorder import Recorder


class Unanswered(Retryable):
    """Nothing of a batch is answered; `code` says why."""

    def __init__(self, code: Code, cause: BusError) -> None:
        super().__init__(f"look-ups are not answered: {code}", got=type(cause).__name__)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Replies in the order of the look-ups, and the durable page that holds their records."""

    replies: tuple[Reply, ...]
    page: Page | None
    positions: tuple[Position, ...]


def answer_batch(lookups: Sequence[Lookup], bench: Bench, *, recorder: Recorder) -> Answered:
    """Decide, record and answer these look-ups together; raises `Unanswered` with nothing said.

    1, 2. Token and request were read when each look-up was admitted.
    """
    # Before a use of a consent is spent: will the ledger take the page?
    with _failing(Code.CANNOT_RECORD, (BusError,)):
        recorder.check()
    # 3. Know every policy and consent that was committed before now.
    with _failing(Code.CANNOT_DECIDE):
        positions = bench.states.catch_up()
    # 4. Resolve and read all persons in one snapshot.
    with _failing(Code.VIEW_UNAVAILABLE, (BusError,)):
        seen = bench.view.read([lookup.request.pin for lookup in lookups])
    # Know whom the records may name: what they cannot name they cannot tell.
    asked_at = datetime.now(UTC)
    named = [frozenset(subjects_of(one, bench.states.plan, seen)) for one in lookups]
    with _failing(Code.CANNOT_RECORD, (BusError,)):
        secrets = bench.vault.get_or_create(frozenset().union(*named))
    for lookup, subjects in zip(lookups, named, strict=True):
        made = (secrets[subject] for subject in subjects)
        bench.names.charge(lookup.token.agency, made, since=asked_at)
    # 5. At one time: take from limits, reserve uses of counted consents, decide, cut, and make the
    # records.
    page = recorder.open_page(datetime.now(UTC))
    with _failing(Code.USES_UNAVAILABLE, (BusError,)):
        turnstile = pass_limits(lookups, bench, page.at)
        granted = reserve_uses(lookups, bench, page.at, turnstile=turnstile)
    with _failing(Code.CANNOT_DECIDE):
        replies = tuple(
            make_reply(
                lookup,
                bench,
                page,
                seen=seen,
                secrets=secrets,
                at=positions,
                turnstile=turnstile,
                granted=granted,
            )
            for lookup in lookups
        )
    # 6. One page; return only when it is durable.
    written = _write(recorder, page, bench, positions=positions, lookups=lookups)
    # 7. Now there is something to say.
    return Answered(replies=replies, page=written, positions=positions)


def _write(
    recorder: Recorder,
    page: PageBuilder,
    bench: Bench,
    *,
    positions: tuple[Position, ...],
    lookups: Sequence[Lookup],
) -> Page | None:
    if not page.leaves:
        return None
    trace = next((lookup.trace for lookup in lookups if lookup.trace), None)
    try:
        return recorder.write(
            page,
            policy=bench.states.plan.policy,
            positions=positions,
            traceparent=trace and traceparent(trace),
        )
    except BusError as error:
        raise Unanswered(Code.CANNOT_RECORD, error) from error


@contextmanager
def _failing(
    code: Code, errors: tuple[type[BusError], ...] = (Retryable, Refused)
) -> Iterator[None]:
    """These errors (by default all that do not end the process) leave the batch unanswered."""
    try:
        yield
    except errors as error:
        raise Unanswered(code, error) from error
