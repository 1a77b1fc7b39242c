"""A ledger's directory, for reading only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from civicbus_schemas.errors import Unavailable

from civicbus_audit.stored import CHECKPOINT


class LedgerDirectory:
    """The files of a ledger in the C2SP layout (`checkpoint`, `tile/…`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / CHECKPOINT).is_file():
            raise Unavailable(
                f"there is no ledger in {path}",
                expected=f"a file {CHECKPOINT}",
                next_step="name the folder that holds it, or start the bus",
            )

    def read(self, path: str) -> bytes:
        """The bytes at a path below the ledger; raises `FileNotFoundError`."""
        return read_below(self.path, path)

    def tile_paths(self) -> Iterator[str]:
        """Every file below `tile/`, whatever it is called."""
        for folder, _, names in os.walk(self.path / "tile", onerror=_not_listed):
            below = Path(folder).relative_to(self.path).as_posix()
            yield from (f"{below}/{name}" for name in names)


def _not_listed(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # sealing removes what a full tile supersedes
        raise Unavailable("a folder of the ledger cannot be listed", got=error.strerror) from None


def read_below(folder: Path, path: str) -> bytes:
    """The bytes at a path below a folder, be there a ledger or not yet; as `LedgerDirectory`."""
    try:
        return (folder / path).read_bytes()
    except NotADirectoryError as error:
        raise FileNotFoundError(path) from error
    except PermissionError:
        raise Unavailable(f"{path} may not be read by this user") from None
