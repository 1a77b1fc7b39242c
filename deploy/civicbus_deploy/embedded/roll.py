"""The roll of what runs for one state folder, so that a later command finds it after a crash."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from civicbus_deploy.embedded.processes import ProcessIdentity, RunningProcess
from civicbus_deploy.embedded.state import StateFolder, read_json, write_json

_END_TIMEOUT_S = 20.0


class Roll:
    """`H/run/roll.json`: name → pid and start time, in the order of starting."""

    def __init__(self, folder: StateFolder) -> None:
        self._path = folder.run / "roll.json"
        self._guard = threading.Lock()

    def read(self) -> dict[str, ProcessIdentity]:
        """Everything on the roll, living or dead."""
        entries = read_json(self._path).get("started", [])
        return {
            entry["name"]: ProcessIdentity(entry["pid"], entry["started_at"]) for entry in entries
        }

    def living(self) -> dict[str, ProcessIdentity]:
        """What still runs; a pid that was reused by a stranger does not count."""
        return {name: who for name, who in self.read().items() if who.process is not None}

    def enter(self, process: RunningProcess) -> None:
        """Note a start; the latest stands last. What cannot be noted is ended again."""
        name = process.spec.name
        try:
            with self._guard:
                others = {key: who for key, who in self.read().items() if key != name}
                self._write({**others, name: process.identity})
        except OSError:
            process.kill()
            raise

    def strike(self, name: str) -> None:
        """Forget one that was ended in order."""
        with self._guard:
            self._write({key: who for key, who in self.read().items() if key != name})

    def _write(self, entries: Mapping[str, ProcessIdentity]) -> None:
        rows = [
            {"name": name, "pid": who.pid, "started_at": who.started_at}
            for name, who in entries.items()
        ]
        write_json(self._path, {"started": rows})

    def end_living(self) -> tuple[str, ...]:
        """End what a dead supervisor left behind, the latest first, and say which."""
        orphans = self.living()
        for identity in reversed(orphans.values()):
            identity.end(timeout_s=_END_TIMEOUT_S)
        with self._guard:
            self._write({})
        return tuple(orphans)
