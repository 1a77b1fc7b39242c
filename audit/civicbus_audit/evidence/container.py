"""A zip that is nothing but its files: stored, in order, each header in its only spelling.

Compressed data, extra fields and dates leave bytes that nobody checks; here every byte is either a
file's, which the manifest binds, or the one that must stand there. Files stay below 4 GiB.
"""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from civicbus_schemas.errors import TooLarge

MAX_BYTES = (1 << 32) - 1
_CHUNK = 1 << 20
_MADE_BY = 3 << 8 | 20  # Unix, version 2.0
_DATE = 0x21  # 1980-01-01, the first that a zip can say
_MODE = 0o100644 << 16


def write_zip(target: Path, files: Sequence[Path]) -> None:
    """Packs the files, by their own names; raises `TooLarge` where a zip cannot hold them."""
    if sum(file.stat().st_size for file in files) > MAX_BYTES - _CHUNK:
        raise TooLarge(
            "a zip cannot hold so much", expected="< 4 GiB", next_step="export into a folder"
        )
    directory = b""
    target.touch(mode=0o600, exist_ok=False)
    with target.open("r+b") as out:
        for file in files:
            name, offset = file.name.encode("ascii"), out.tell()
            length = file.stat().st_size
            head = struct.pack(
                "<5H3I2H", 20, 0, 0, 0, _DATE, _checksum(file), length, length, len(name), 0
            )
            out.write(b"PK\x03\x04" + head + name)
            with file.open("rb") as content:
                shutil.copyfileobj(content, out, _CHUNK)
            directory += struct.pack("<4sH", b"PK\x01\x02", _MADE_BY) + head
            directory += struct.pack("<3H2I", 0, 0, 0, _MODE, offset) + name
        _end(out, directory, count=len(files))


def _end(out: BinaryIO, directory: bytes, *, count: int) -> None:
    offset = out.tell()
    fields = (0, 0, count, count, len(directory), offset, 0)
    out.write(directory + struct.pack("<4s4H2IH", b"PK\x05\x06", *fields))


def _checksum(file: Path) -> int:
    checksum = 0
    with file.open("rb") as content:
        while data := content.read(_CHUNK):
            checksum = zlib.crc32(data, checksum)
    return checksum
