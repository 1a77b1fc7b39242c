"""The Merkle tree of RFC 6962 section 2.1 (RFC 9162 section 2.1). Pure: values in, values out.

Two ways lead to a root and share nothing but the node's hash: `CompactRange` adds leaf by leaf and
keeps only the peaks; `root_of_range` follows the RFC's recursive definition over stored nodes. The
ledger signs a root only when both agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from civicbus_schemas.errors import EvidenceBroken, Refused

from civicbus_audit.canonical import HASH_BYTES

EMPTY_ROOT = sha256(b"").digest()

Nodes = Callable[[int, int], bytes]
"""The hash of the complete subtree at (height, index), the index counting such subtrees."""


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 ‖ leaf)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactRange:
    """The roots of the complete subtrees that make up the first `size` leaves, largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if len(self.peaks) != self.size.bit_count():
            raise Refused(
                "a compact range has the wrong number of peaks",
                got=len(self.peaks),
                expected=self.size.bit_count(),
            )

    def extended(self, leaf_hashes: Iterable[bytes]) -> CompactRange:
        """The range after these leaves; each costs one node hash on average."""
        size, peaks = self.size, list(self.peaks)
        for new in leaf_hashes:
            carry = size
            while carry & 1:
                new = sha256(b"\x01" + peaks.pop() + new).digest()
                carry >>= 1
            peaks.append(new)
            size += 1
        return CompactRange(size=size, peaks=tuple(peaks))

    def root(self) -> bytes:
        """The Merkle tree hash; of no leaves, SHA-256 of the empty string."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root above 2^k hashes, level by level."""
    if not hashes or len(hashes) & len(hashes) - 1:
        raise Refused("not a complete subtree", got=f"{len(hashes)} hashes", expected="2^k hashes")
    while len(hashes) > 1:
        pairs = iter(hashes)
        hashes = [sha256(b"\x01" + a + b).digest() for a, b in zip(pairs, pairs, strict=True)]
    return hashes[0]


def split_of(count: int) -> int:
    """The largest power of two smaller than `count`."""
    return 1 << (count - 1).bit_length() - 1


def root_of_range(start: int, end: int, nodes: Nodes) -> bytes:
    """MTH(D[start:end]) by the RFC's definition; `start` is a multiple of the first split."""
    count = end - start
    if count == 0:
        return EMPTY_ROOT
    if count & count - 1 == 0:
        return nodes(count.bit_length() - 1, start // count)
    middle = start + split_of(count)
    return node_hash(root_of_range(start, middle, nodes), root_of_range(middle, end, nodes))


def inclusion_proof(index: int, size: int, nodes: Nodes) -> tuple[bytes, ...]:
    """PATH(index, D[size]): from the leaf's sibling up to the root's child."""
    if not 0 <= index < size:
        raise Refused("no such leaf", got=f"index {index}", expected=f"less than {size}")
    start, end, downwards = 0, size, list[bytes]()
    while end - start > 1:
        middle = start + split_of(end - start)
        if index < middle:
            downwards.append(root_of_range(middle, end, nodes))
            end = middle
        else:
            downwards.append(root_of_range(start, middle, nodes))
            start = middle
    return tuple(reversed(downwards))


def consistency_proof(old: int, new: int, nodes: Nodes) -> tuple[bytes, ...]:
    """PROOF(old, D[new]); empty when both are the same size."""
    if not 0 < old <= new:
        raise Refused("no such prefix", got=f"{old} of {new}", expected=f"1 to {new}")
    start, end, complete, downwards = 0, new, True, list[bytes]()
    while end != old:
        middle = start + split_of(end - start)
        if old <= middle:
            downwards.append(root_of_range(middle, end, nodes))
            end = middle
        else:
            downwards.append(root_of_range(start, middle, nodes))
            start, complete = middle, False
    if not complete:
        downwards.append(root_of_range(start, end, nodes))
    return tuple(reversed(downwards))


def verify_inclusion(
    proof: Sequence[bytes], *, leaf: bytes, index: int, size: int, root: bytes
) -> None:
    """Checks that the leaf with hash `leaf` is number `index` under `root` (RFC 9162 2.1.3.2)."""
    _check_hashes([leaf, root, *proof])
    if not 0 <= index < size:
        raise EvidenceBroken(
            "the index lies outside the tree", got=index, expected=f"less than {size}"
        )
    path, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise EvidenceBroken("the inclusion proof is too long", got=f"{len(proof)} hashes")
        if path & 1 or path == last:
            current = node_hash(sibling, current)
            while path and not path & 1:
                path, last = path >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        path, last = path >> 1, last >> 1
    if last != 0:
        raise EvidenceBroken("the inclusion proof is too short", got=f"{len(proof)} hashes")
    if not compare_digest(current, root):
        raise EvidenceBroken(f"the proof of leaf {index} does not lead to the root of size {size}")


def verify_consistency(
    proof: Sequence[bytes], *, old_size: int, new_size: int, old_root: bytes, new_root: bytes
) -> None:
    """Checks that the older tree is a prefix of the newer one (RFC 9162 section 2.1.4.2)."""
    _check_hashes([old_root, new_root, *proof])
    if not 0 < old_size <= new_size:
        raise EvidenceBroken("no such prefix", got=f"{old_size} of {new_size}")
    if old_size == new_size:
        if proof or not compare_digest(old_root, new_root):
            raise EvidenceBroken(f"two trees of {old_size} leaves have different roots")
        return
    if not proof:
        raise EvidenceBroken("the consistency proof is empty")
    from_old, from_new, last = _climb(proof, old_size=old_size, new_size=new_size, root=old_root)
    if last != 0:
        raise EvidenceBroken("the consistency proof is too short", got=f"{len(proof)} hashes")
    if not compare_digest(from_old, old_root):
        raise EvidenceBroken(f"the proof does not lead to the root of size {old_size}")
    if not compare_digest(from_new, new_root):
        raise EvidenceBroken(f"the proof does not lead to the root of size {new_size}")


def _climb(
    proof: Sequence[bytes], *, old_size: int, new_size: int, root: bytes
) -> tuple[bytes, bytes, int]:
    """Both roots as the proof gives them, and what is left of the way up (0 if it is whole)."""
    path, last = old_size - 1, new_size - 1
    while path & 1:
        path, last = path >> 1, last >> 1
    first, *rest = [root, *proof] if old_size & old_size - 1 == 0 else proof
    from_old = from_new = first
    for sibling in rest:
        if last == 0:
            raise EvidenceBroken("the consistency proof is too long", got=f"{len(proof)} hashes")
        if path & 1 or path == last:
            from_old, from_new = node_hash(sibling, from_old), node_hash(sibling, from_new)
            while path and not path & 1:
                path, last = path >> 1, last >> 1
        else:
            from_new = node_hash(from_new, sibling)
        path, last = path >> 1, last >> 1
    return from_old, from_new, last


def _check_hashes(hashes: Iterable[bytes]) -> None:
    """A hash of another length would let one tree pass for another."""
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise EvidenceBroken(
                "not a SHA-256 hash", got=f"{len(value)} bytes", expected=f"{HASH_BYTES} bytes"
            )
