"""How far each assigned partition is acknowledged without a gap. No Kafka here."""

from __future__ import annotations


class Progress:
    """One partition during one assignment to this member.

    Offsets are not contiguous (transaction markers take some), so progress is counted in
    deliveries. Not safe between threads by itself: the subscription locks.
    """

    __slots__ = ("_outstanding", "at_end", "held")

    def __init__(self) -> None:
        self._outstanding: dict[int, bool] = {}  # offset → acknowledged, in order of delivery
        self.held = True
        self.at_end = False  # nothing more was there when the broker was last asked

    def delivered(self, offset: int) -> None:
        """Note that the delivery at this offset was handed out."""
        self._outstanding[offset] = False
        self.at_end = False

    def acknowledge(self, offset: int) -> int | None:
        """Note an acknowledgement; the position to commit, if that moved.

        It never passes a delivery that is not acknowledged. Doing it twice changes nothing.
        """
        if offset not in self._outstanding:
            return None
        self._outstanding[offset] = True
        commit = None
        while self._outstanding:
            first = next(iter(self._outstanding))
            if not self._outstanding[first]:
                break
            del self._outstanding[first]
            commit = first + 1
        return commit
