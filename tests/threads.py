"""Processes of ours that work in threads of the test's own process, until it has seen enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event

from tests.stack import DEADLINE_S


@contextmanager
def running(
    *runs: Callable[[], None], stop: Event, timeout_s: float = DEADLINE_S
) -> Iterator[Callable[[], bool]]:
    """All of them run while the body does; what ended one of them before its time is raised.

    The body is given the question whether one of them has ended.
    """
    threads = ThreadPoolExecutor(len(runs))
    working = [threads.submit(run) for run in runs]
    try:
        yield lambda: any(work.done() for work in working)
    finally:
        stop.set()
        threads.shutdown(wait=False)
        wait(working, timeout_s)
        for work in working:
            work.result(0)
