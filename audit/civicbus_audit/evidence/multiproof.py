"""One proof for many leaves: the roots of the subtrees that hold none of them. Pure.

Whoever has the leaves and their numbers walks down the RFC's tree in the same order, takes a hash
for each subtree without a leaf of his, and comes back up with the root. For a million neighbours
that is some forty hashes, not twenty million.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from civicbus_audit.merkle import Nodes, root_of_range, split_of


def multiproof(indices: Sequence[int], size: int, nodes: Nodes) -> Iterator[bytes]:
    """The hashes for these leaves (ascending) of the first `size`, from left to right."""
    at, ranges = 0, [(0, size)] if size else []
    while ranges:
        start, end = ranges.pop()
        if at == len(indices) or indices[at] >= end:
            yield root_of_range(start, end, nodes)
        elif end - start == 1:
            at += 1
        else:
            middle = start + split_of(end - start)
            ranges += [(middle, end), (start, middle)]
