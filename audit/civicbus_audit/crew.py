"""Long work on a ledger in pieces: in this process, or divided among several.

A piece is checked alone, so what is wrong with it is said in the same words by whoever checks it,
and the first piece that is wrong is told first.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from civicbus_schemas.errors import Unavailable

Piece = TypeVar("Piece")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Crew:
    """Who does the work; without a pool, this process does."""

    pool: ProcessPoolExecutor | None = None

    @property
    def alone(self) -> bool:
        """Whether all is done in this process."""
        return self.pool is None

    def each(
        self, task: Callable[[Piece], Result], pieces: Iterable[Piece], *, at_once: int = 1
    ) -> Iterator[Result]:
        """The results in the order of the pieces; raises what the first bad piece raised.

        Others are handed task and pieces by pickling, so many `at_once`. Raises `Unavailable` where
        one of them was ended from outside, which says nothing of the piece.
        """
        if self.pool is None:
            yield from map(task, pieces)
            return
        try:
            yield from self.pool.map(task, pieces, chunksize=at_once)
        except BrokenProcessPool:
            raise Unavailable(
                "a process that checked a piece was ended",
                next_step="look at the machine's memory, then try again with --processes 1",
            ) from None


ALONE = Crew()


@contextmanager
def crew_of(processes: int | None) -> Iterator[Crew]:
    """So many processes, ended with the context; None is one for each core.

    They begin before this returns, so that no thread of the caller's is forked.
    """
    count = os.cpu_count() or 1 if processes is None else processes
    if count <= 1:
        yield ALONE
        return
    # what workers make is kept until a piece is done: collecting finds nothing in it
    with ProcessPoolExecutor(count, initializer=gc.disable) as pool:
        pool.submit(gc.isenabled).result()
        try:
            yield Crew(pool)
        finally:
            pool.shutdown(cancel_futures=True)
