"""One pass over everything, or over its newest part: four comparisons, each by itself.

Nothing is written here, and nothing is repaired: evidence never is, and what is derived is made
anew by `civicbus-audit fsck --repair`, so that nobody's work vanishes before it is looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from pathlib import Path

from civicbus_audit.completeness.commit import INDEX_COMMIT
from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.index.database import make_engine
from civicbus_audit.index.examining import Contradiction, examine_index
from civicbus_audit.note import Verifier
from civicbus_audit.pruning import open_log
from civicbus_audit.quorum import Policy, Trust, Witness
from civicbus_audit.recount import recount
from civicbus_audit.sealed import QUARANTINE
from civicbus_audit.sequencing import PageMessage
from civicbus_audit.state import STATE, LedgerState
from civicbus_audit.stored import CHECKPOINT, StoredLog
from civicbus_audit.tiles import WIDTH
from civicbus_audit.verify import published, published_log, signed_head, verify_ledger
from civicbus_audit.witness.held import check_continues, check_held, cosigned_sizes, fetch_held
from civicbus_schemas.errors import BusError, EvidenceBroken, InvalidBytes, Unavailable

from civicbus_consumers.scrubbing.kept import first_kept
from civicbus_consumers.scrubbing.rules import (
    Comparison,
    Fault,
    Ledger,
    Span,
    compare,
    place_of,
)
from civicbus_consumers.scrubbing.sealed_files import sealed_files
from civicbus_consumers.scrubbing.topic import Pages

ENOUGH = 100  # contradictions of one comparison; more say nothing more
_SEALING_S = 5.0
_TRIES = 16  # messages that are looked for, until one is found

Pace = Callable[[], None]
"""Called after each small piece of work; may sleep, and may raise to end the pass."""


Fetch = Callable[[Witness, str], bytes | None]
"""What a witness holds of the log of an origin; None if nothing. Raises `Unavailable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What is compared: the ledger's folder, its readers' trust, the database and the topic."""

    ledger_dir: Path
    trust: Trust
    log: Verifier
    dsn_file: Path
    pages: Pages
    fetch: Fetch = fetch_held


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What one pass found, and what it could not compare now."""

    messages: int = 0
    faults: tuple[Fault, ...] = ()
    troubles: Mapping[Comparison, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What of everything is looked at: a span of the topic, and the leaves from `leaf` on."""

    span: Span
    leaf: int


def scrub(sides: Sides, *, since: datetime | None = None, pace: Pace = lambda: None) -> Passed:
    """Compare all, or with `since` what the topic has had from then on.

    1. What is sealed by now, and where the part begins. 2. Topic and leaves. 3. Leaves, tiles and
    signed root. 4. Rows. 5. Witnesses, whole in every pass: they cost a request each. What
    contradicts is told; what does not answer is trouble, and no contradiction. Raises `Retryable`
    where there is no ledger yet.
    """
    if not (sides.ledger_dir / CHECKPOINT).is_file():
        return Passed(faults=(_lost_checkpoint(sides),))
    directory = LedgerDirectory(sides.ledger_dir)
    found, troubles = list[Fault](), dict[Comparison, str]()

    def look(comparison: Comparison, faults: Callable[[], Iterator[Fault]]) -> None:
        try:
            found.extend(islice(faults(), ENOUGH))
        except (EvidenceBroken, InvalidBytes) as error:
            found.append(Fault(comparison=comparison, kind="broken", why=str(error)))
        except BusError as error:
            troubles[comparison] = str(error)
        except OSError as error:  # only the ledger is read by files, and those are to be there
            why = f"{error.filename or error} cannot be read ({type(error).__name__})"
            found.append(Fault(comparison=comparison, kind="broken", why=why))

    part: _Part | None = None

    def topic() -> Iterator[Fault]:
        nonlocal part
        sealed = _sealed_so_far(directory, sides.trust)  # 1
        log = open_log(directory.read, sealed.size)
        ledger = _ledger(directory, log)
        part = _part(sides.pages, ledger, sealed=sealed, since=since)
        if (
            log.first
            and since is None
            and (kept := first_kept(sides.pages, log, end=part.span.end))
        ):
            part = replace(part, span=kept)  # what was pruned is compared with nothing
        messages = _paced(sides.pages.read(part.span.begin, part.span.end), pace)
        yield from compare(messages, ledger, part.span)
        yield from sealed_files(directory, sides.trust, size=sealed.size)

    look(Comparison.TOPIC, topic)  # 2
    leaf = part.leaf if part else 0
    look(Comparison.TREE, lambda: _tree(sides, directory, since=leaf, pace=pace))  # 3
    look(Comparison.INDEX, lambda: _index(sides, directory, since=leaf, pace=pace))  # 4
    look(Comparison.WITNESSES, lambda: _witnesses(sides, directory))  # 5
    messages = part.span.end - part.span.begin if part else 0
    return Passed(messages=messages, faults=tuple(found), troubles=troubles)


def _lost_checkpoint(sides: Sides) -> Fault:
    """Raises `Unavailable` for a new ledger, of which no witness has cosigned anything yet."""
    if not (sides.ledger_dir / STATE).exists():
        raise Unavailable(f"there is no ledger in {sides.ledger_dir}")
    witnesses = sides.trust.witnesses if isinstance(sides.trust, Policy) else ()
    saw = list[str]()
    for witness in witnesses:
        with suppress(Unavailable):  # one that remembers is enough
            if sides.fetch(witness, sides.log.name) is not None:
                saw.append(witness.name)
    if witnesses and not saw:
        raise Unavailable("nothing of this ledger is published, as far as its witnesses answer")
    return Fault(
        comparison=Comparison.TREE,
        kind="broken",
        why=f"the published checkpoint is gone; seen by {', '.join(saw) or 'its readers'}",
    )


def _sealed_so_far(directory: LedgerDirectory, trust: Trust) -> LedgerState:
    """Size and position that belong together, once the files of that size are in their places."""
    deadline = time.monotonic() + _SEALING_S
    while True:
        state = LedgerState.decode(directory.read(STATE))
        if signed_head(directory, trust).size >= state.size:
            return state
        if time.monotonic() > deadline:
            raise Unavailable(
                "sealing was cut off behind its commit", next_step="let it start and finish"
            )
        time.sleep(0.05)


def _ledger(directory: LedgerDirectory, log: StoredLog) -> Ledger:
    def find(leaf: bytes) -> int | None:
        for number in reversed(log.bundles):
            bundle = log.bundle(number)
            if leaf in bundle:
                return number * WIDTH + len(bundle) - 1 - bundle[::-1].index(leaf)
        return None

    def kept(name: str) -> bytes | None:
        try:
            return directory.read(f"{QUARANTINE}/{name}")
        except FileNotFoundError:
            return None

    return Ledger(leaves=log, find=find, kept=kept, is_own=INDEX_COMMIT.wrote)


def _part(pages: Pages, ledger: Ledger, *, sealed: LedgerState, since: datetime | None) -> _Part:
    """All; or from the first message of that time whose leaves are found, which begin a page."""
    if since is None:
        return _Part(span=Span(begin=0, end=sealed.position, leaf=0), leaf=0)
    begin = min(pages.first_since(since), sealed.position)
    first = islice(pages.read(begin, sealed.position), _TRIES)
    found = (leaf for message in first if (leaf := place_of(message, ledger)) is not None)
    leaf = next(found, sealed.size)
    return _Part(span=Span(begin=begin, end=sealed.position, leaf=None), leaf=leaf)


def _tree(sides: Sides, directory: LedgerDirectory, *, since: int, pace: Pace) -> Iterator[Fault]:
    """Raises `EvidenceBroken` or `InvalidBytes` for what does not hold."""
    if not since:
        verify_ledger(directory, sides.trust, on_progress=lambda _leaves: pace())
        return
    checkpoint, _ = published(directory, sides.trust)
    log = open_log(directory.read, checkpoint.size)
    since = min(since, checkpoint.size)
    if recount(log, since=since, on_progress=lambda _leaves: pace()) != checkpoint.root:
        raise EvidenceBroken(
            f"the entries do not lead to the signed root of size {checkpoint.size}"
        )
    yield from ()


def _index(sides: Sides, directory: LedgerDirectory, *, since: int, pace: Pace) -> Iterator[Fault]:
    def newest() -> StoredLog:
        return published_log(directory, sides.trust)

    engine = make_engine(sides.dsn_file)
    try:
        for fault in examine_index(engine, newest, since=since, on_progress=lambda _: pace()):
            if fault.kind is Contradiction.PRUNED:
                continue  # indexing forgets them in its own time; `fsck` names what it did not
            yield Fault(
                comparison=Comparison.INDEX,
                kind=fault.kind,
                leaf=fault.leaf,
                why=", ".join(fault.columns),
            )
    finally:
        engine.dispose()


def _witnesses(sides: Sides, directory: LedgerDirectory) -> Iterator[Fault]:
    """Each witness's last checkpoint begins the ledger; what one of them holds spares no other."""
    if not isinstance(sides.trust, Policy):
        return
    origin, silent = sides.log.name, list[str]()
    least = cosigned_sizes(published(directory, sides.trust)[1], sides.trust)
    for witness in sides.trust.witnesses:
        try:
            note = sides.fetch(witness, origin)
            held = check_held(note, witness, log=sides.log, least=least.get(witness.name, 0))
            head = signed_head(directory, sides.trust)  # read after, so that it is never behind
            check_continues(held, witness, StoredLog(directory.read, head.size))
        except (EvidenceBroken, InvalidBytes) as error:
            yield Fault(comparison=Comparison.WITNESSES, kind="broken", why=str(error))
        except Unavailable as error:
            silent.append(str(error))
    if silent:
        raise Unavailable("; ".join(silent))


def _paced(messages: Iterator[PageMessage], pace: Pace) -> Iterator[PageMessage]:
    for message in messages:
        yield message
        pace()
