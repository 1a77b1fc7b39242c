"""The roll of what runs for one state folder, so that a later command finds it after a crash."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from typing import Any

from civicbus_deploy.embedded.processes import ProcessIdentity, RunningProcess
from civicbus_deploy.embedded.state import StateFolder, read_json, write_json

_END_TIMEOUT_S = 20.0


class Roll:
    """`H/run/roll.json`: name → pid, start time and stop signal, in the order of starting."""

    def __init__(self, folder: StateFolder) -> None:
        self._path = folder.run / "roll.json"
        self._guard = threading.Lock()

    def read(self) -> dict[str, ProcessIdentity]:
        """Everything on the roll, living or dead."""
        return {row["name"]: _identity(row) for row in self._rows()}

    def living(self) -> dict[str, ProcessIdentity]:
        """What still runs; a pid that was reused by a stranger does not count."""
        return {name: who for name, who in self.read().items() if who.process is not None}

    def enter(self, process: RunningProcess) -> None:
        """Note a start; the latest stands last. What cannot be noted is ended again."""
        name = process.spec.name
        try:
            with self._guard:
                who, stop_signal = process.identity, int(process.spec.stop_signal)
                row = {"name": name, "pid": who.pid, "started_at": who.started_at}
                self._write([*self._others(name), {**row, "stop_signal": stop_signal}])
        except OSError:
            process.kill()
            raise

    def strike(self, name: str) -> None:
        """Forget one that was ended in order."""
        with self._guard:
            self._write(self._others(name))

    def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = read_json(self._path).get("started", [])
        return rows

    def _others(self, name: str) -> list[dict[str, Any]]:
        return [row for row in self._rows() if row["name"] != name]

    def _write(self, rows: list[dict[str, Any]]) -> None:
        write_json(self._path, {"started": rows})

    def end_living(self) -> tuple[str, ...]:
        """End what a dead supervisor left behind, the latest first, and say which.

        Each with its own signal: PostgreSQL, told to terminate, would wait for its clients to go.
        """
        orphans = self.living()
        signals = {row["name"]: row.get("stop_signal", signal.SIGTERM) for row in self._rows()}
        for name, identity in reversed(orphans.items()):
            identity.end(timeout_s=_END_TIMEOUT_S, stop_signal=signals[name])
        with self._guard:
            self._write([])
        return tuple(orphans)


def _identity(row: Mapping[str, Any]) -> ProcessIdentity:
    return ProcessIdentity(row["pid"], row["started_at"])
