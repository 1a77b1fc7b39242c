"""Acknowledgement: for every order, the commit is what a reader of the definition would say."""

from __future__ import annotations

from civicbus_consumers.acknowledgements import Progress
from hypothesis import given
from hypothesis import strategies as st

OFFSETS = st.lists(st.integers(0, 1_000), unique=True, min_size=1, max_size=30).map(sorted)


def expected(offsets: list[int], acknowledged: set[int]) -> int | None:
    """One more than the last of the leading acknowledged deliveries."""
    leading = []
    for offset in offsets:
        if offset not in acknowledged:
            break
        leading.append(offset)
    return leading[-1] + 1 if leading else None


@given(OFFSETS, st.data())
def test_commit_is_the_end_of_the_leading_run_when_acknowledged_in_any_order(
    offsets: list[int], data: st.DataObject
) -> None:
    progress = Progress()
    for offset in offsets:
        progress.delivered(offset)
    committed, acknowledged = None, set()
    for offset in data.draw(st.lists(st.sampled_from(offsets), max_size=60)):
        acknowledged.add(offset)
        position = progress.acknowledge(offset)
        assert position is None or committed is None or position > committed
        committed = position or committed
        assert committed == expected(offsets, acknowledged)


@given(OFFSETS)
def test_nothing_is_committed_when_an_offset_was_never_delivered(offsets: list[int]) -> None:
    progress = Progress()
    for offset in offsets:
        progress.delivered(offset)
    assert progress.acknowledge(2_000) is None
    assert progress.acknowledge(-1) is None
