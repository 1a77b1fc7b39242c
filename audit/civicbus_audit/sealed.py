"""Sealed parts: ciphertexts that lie beside the leaves and may be erased without touching a proof.

They are stored like entry bundles, under `sealed/` with the same numbers, each behind its length
(uint32, big-endian); a leaf without a sealed part has an empty one. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from civicbus_audit.canonical import malformed
from civicbus_audit.tiles import Tile, index_path

SEALED = "sealed"
QUARANTINE = "quarantine"
"""Beside them: the bytes of pages that could not be read, each named by its SHA-256."""


def sealed_path(bundle: Tile) -> str:
    """The path of the sealed parts of an entry bundle, such as `sealed/000.p/3`."""
    return f"{SEALED}/{index_path(bundle.index)}" + (f".p/{bundle.width}" if bundle.partial else "")


def encode_sealed(parts: Sequence[bytes]) -> bytes:
    """The bytes of the sealed parts of one bundle."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def decode_sealed(data: bytes, bundle: Tile) -> list[bytes]:
    """The sealed parts of one bundle, exactly as many as it has entries."""
    parts, position, end = list[bytes](), 0, len(data)
    while position < end:
        start = position + 4
        position = start + int.from_bytes(data[position:start], "big")
        parts.append(data[start:position])
    if position != end or len(parts) != bundle.width:
        malformed(
            f"{sealed_path(bundle)} cannot be read",
            got=f"{len(parts)} parts in {end} bytes",
            expected=f"{bundle.width} parts and nothing after them",
        )
    return parts
