"""Long work on a ledger in pieces: in this process, or divided among several.

A piece is checked alone, so what is wrong with it is said in the same words by whoever checks it,
and the first piece that is wrong is told first.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

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

        Others are handed task and pieces by pickling, so many `at_once`.
        """
        if self.pool is None:
            return map(task, pieces)
        return self.pool.map(task, pieces, chunksize=at_once)


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
