"""A broker's log segment on disk, edited as its administrator can: with a checksum that fits.

A record batch (magic 2) is base offset (8), length (4), leader epoch (4), magic (1), CRC-32C (4) of
all that follows. The CRC is a checksum and no secret.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_POLYNOMIAL = 0x82F63B78  # Castagnoli, reflected
_CRC_AT, _CRC_FROM = 17, 21


def edit_segments(folder: Path, old: bytes, new: bytes) -> int:
    """Replaces bytes (as many by as many) in all batches of a partition; how many batches."""
    assert len(old) == len(new)
    edited = 0
    for segment in sorted(folder.glob("*.log")):
        data = bytearray(segment.read_bytes())
        for start, end in _batches(data):
            batch = bytes(data[start:end])
            if old not in batch:
                continue
            batch = batch.replace(old, new)
            crc = crc32c(batch[_CRC_FROM:]).to_bytes(4, "big")
            data[start:end] = batch[:_CRC_AT] + crc + batch[_CRC_FROM:]
            edited += 1
        segment.write_bytes(data)
    return edited


def crc32c(data: bytes) -> int:
    """CRC-32C, byte by byte."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE = [_entry(byte) for byte in range(256)]


def _batches(data: bytearray) -> Iterator[tuple[int, int]]:
    start = 0
    while start + 12 <= len(data):
        end = start + 12 + int.from_bytes(data[start + 8 : start + 12], "big")
        if end == start + 12 or end > len(data):
            return
        crc = int.from_bytes(data[start + _CRC_AT : start + _CRC_FROM], "big")
        assert crc == crc32c(data[start + _CRC_FROM : end]), "not a batch of magic 2"
        yield start, end
        start = end
