"""Processes of ours that work in threads of the test's own process, until it has seen enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event


@contextmanager
def running(*runs: Callable[[], None], stop: Event, timeout_s: float = 60) -> Iterator[None]:
    """All of them run while the body does; what ended one of them before its time is raised."""
    threads = ThreadPoolExecutor(len(runs))
    working = [threads.submit(run) for run in runs]
    try:
        yield
    finally:
        stop.set()
        threads.shutdown(wait=False)
        wait(working, timeout_s)
        for work in working:
            work.result(0)
