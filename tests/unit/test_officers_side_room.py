"""Slow work of one kind holds up its own kind alone, and says so."""

from __future__ import annotations

import asyncio
import threading

import pytest
from civicbus_consumers.lookup.codes import Code
from civicbus_consumers.officers.problems import OfficersProblem
from civicbus_consumers.officers.side_room import SideRoom


def test_who_finds_no_seat_is_told_busy_and_one_is_free_again_when_the_work_is_done() -> None:
    room, go_on = SideRoom("test", seats=2), threading.Event()
    seated = threading.Barrier(3)

    def work_slowly() -> bool:
        seated.wait(30)
        return go_on.wait(30)

    async def crowd() -> None:
        slow = [asyncio.create_task(room.off_loop(work_slowly)) for _ in range(2)]
        await asyncio.to_thread(seated.wait, 30)  # both have taken their seats
        try:
            with pytest.raises(OfficersProblem) as told:
                await room.off_loop(lambda: None)
            assert told.value.code is Code.BUSY
            # questions and other rooms have threads of their own
            assert await asyncio.to_thread(lambda: "answered") == "answered"
        finally:
            go_on.set()
        assert await asyncio.gather(*slow) == [True, True]
        assert await room.off_loop(lambda: "seated") == "seated"

    asyncio.run(crowd())


def test_a_seat_is_free_again_when_the_work_fails() -> None:
    room = SideRoom("test", seats=1)

    def fail() -> None:
        raise OfficersProblem(Code.CANNOT_DECIDE)

    for _ in range(2):
        with pytest.raises(OfficersProblem) as told:
            asyncio.run(room.off_loop(fail))
        assert told.value.code is Code.CANNOT_DECIDE
