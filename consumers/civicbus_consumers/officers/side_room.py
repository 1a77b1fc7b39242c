"""A few threads for work that may be slow, so that questions never wait behind it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.officers.problems import OfficersProblem

SEATS = 4

T = TypeVar("T")


class SideRoom:
    """As many threads as seats; who finds none is told so at once, and nobody waits for one."""

    def __init__(self, name: str, *, seats: int = SEATS) -> None:
        self._seats = threading.BoundedSemaphore(seats)
        self._threads = ThreadPoolExecutor(seats, name)

    async def off_loop(self, work: Callable[[], T]) -> T:
        """What the work comes to; raises `OfficersProblem` with `busy` where all are taken."""
        if not self._seats.acquire(blocking=False):
            raise OfficersProblem(Code.BUSY)
        return await asyncio.wrap_future(self._threads.submit(self._seated, work))

    def _seated(self, work: Callable[[], T]) -> T:
        # the seat is the thread's, not the request's: a client that leaves does not free it
        try:
            return work()
        finally:
            self._seats.release()
