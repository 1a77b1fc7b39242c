"""A provisioned bus for each module, founded once for a run.

To found one costs twenty seconds of CPU: topics, schemas, users, grants, an agreement's signatures.
So its files are set aside while its servers are stopped, and each module gets them back as they
were; their paths and ports stay, and hence one module has it at a time.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from civicbus_deploy.embedded import postgres

from tests.bus import Bus
from tests.stack import Stack


class Foundation:
    """The files of a bus on its first day; `lasting` says whether more than one module wants it."""

    def __init__(self, *, lasting: bool) -> None:
        self._stack = Stack()
        self._kept: Path | None = None
        with ExitStack() as undo:
            undo.callback(self.close)
            self._founded: Bus | None = Bus.found(self._stack.start())
            if lasting:
                self._stack.stop()
                self._keep()
            undo.pop_all()

    @contextmanager
    def opened(self) -> Iterator[Bus]:
        """The bus on its first day, its servers running."""
        if self._kept is not None:
            self._bring_back(self._kept)
            self._stack.start()
        else:
            assert self._founded is not None, "one module was to have it"
            self._founded = None
        try:
            yield Bus(self._stack)
        finally:
            self._stack.stop()

    def close(self) -> None:
        """Remove it, and what was set aside."""
        self._stack.close()

    def _keep(self) -> None:
        """Into the folder itself, so that whoever removes the one removes the other."""
        kept = self._stack.home / "kept"
        kept.mkdir()
        for part in self._parts():
            _copy(part, kept)
        self._kept = kept

    def _bring_back(self, kept: Path) -> None:
        for part in (parts := self._parts()):
            shutil.rmtree(part) if part.is_dir() else part.unlink()
        homes = {part.name: part.parent for part in parts}
        for part in kept.iterdir():
            _copy(part, homes.get(part.name, kept.parent))

    def _parts(self) -> list[Path]:
        """All that lies in the folder but what is kept, and the database, which may lie outside."""
        inside = {path for path in self._stack.home.iterdir() if path.name != "kept"}
        return sorted(inside | {postgres.place(self._stack.folder)})


def _copy(part: Path, into: Path) -> None:
    """With owners, and without filling the holes of Kafka's indexes."""
    subprocess.run(["cp", "-a", "--sparse=always", part, into], check=True)
