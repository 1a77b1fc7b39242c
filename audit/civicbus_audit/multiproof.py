"""One proof for many leaves: the roots of the subtrees that hold none of them. Pure.

Whoever has the leaves and their numbers walks down the RFC's tree in the same order, takes a hash
for each subtree without a leaf of his, and comes back up with the root. For a million neighbours
that is some forty hashes, not twenty million.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from civicbus_schemas.errors import EvidenceBroken

from civicbus_audit.canonical import HASH_BYTES
from civicbus_audit.merkle import EMPTY_ROOT, Nodes, node_hash, root_of_range, split_of


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


def root_of_some(leaf_hashes: Mapping[int, bytes], size: int, proof: Iterable[bytes]) -> bytes:
    """The root that these leaves of `size` and their multiproof lead to.

    Raises `EvidenceBroken` unless the leaves lie in the tree and the proof is neither too short nor
    too long for them.
    """
    wanted, hashes = sorted(leaf_hashes), iter(proof)
    if wanted and not 0 <= wanted[0] <= wanted[-1] < size:
        raise EvidenceBroken("a leaf lies outside the tree", expected=f"less than {size}")
    position = 0

    def climb(start: int, end: int) -> bytes:
        nonlocal position
        if position == len(wanted) or wanted[position] >= end:
            given = next(hashes, b"")
            if len(given) != HASH_BYTES:
                raise EvidenceBroken("the proof of the leaves is too short, or no hashes")
            return given
        if end - start == 1:
            position += 1
            return leaf_hashes[start]
        middle = start + split_of(end - start)
        left = climb(start, middle)
        return node_hash(left, climb(middle, end))

    root = climb(0, size) if size else EMPTY_ROOT
    if next(hashes, None) is not None:
        raise EvidenceBroken("the proof of the leaves is too long")
    return root
