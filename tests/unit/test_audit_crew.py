"""Pieces of long work among processes: in order, and what is told when one goes wrong."""

from __future__ import annotations

import os

import pytest
from civicbus_audit.crew import crew_of
from civicbus_schemas.errors import EvidenceBroken, Unavailable


def check(piece: int) -> int:
    """Every piece from 7 on is bad."""
    if piece >= 7:
        raise EvidenceBroken("a piece is bad", got=piece)
    return piece


@pytest.mark.parametrize("processes", [1, 2])
def test_the_first_bad_piece_is_told_when_several_are_bad(processes: int) -> None:
    with crew_of(processes) as crew:
        assert list(crew.each(check, range(7))) == [*range(7)]
        with pytest.raises(EvidenceBroken, match="got 7"):
            list(crew.each(check, range(12)))


def test_no_piece_is_called_bad_when_the_process_that_checked_it_was_ended() -> None:
    with crew_of(2) as crew, pytest.raises(Unavailable, match="--processes 1"):
        list(crew.each(os._exit, [9]))
