"""Flags on the real broker: found within seconds, once, also where the worker is killed."""

from __future__ import annotations

import json
import os
import signal
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg
import pytest
from civicbus_consumers.recording.signing import read_signing_key
from civicbus_deploy.oversight.flags import app
from civicbus_schemas.codec import frame, unframe
from civicbus_schemas.errors import Refused
from civicbus_schemas.ids import new_recorder_id
from civicbus_schemas.page import Page
from civicbus_schemas.record import Record
from civicbus_schemas.topics import AUDIT_PAGE
from civicbus_schemas.vocabulary import FLAG_KINDS, RecordKind
from confluent_kafka import Producer
from typer.testing import CliRunner

from tests.bus import Bus, Worker
from tests.fakes.pages import FakeRecorder
from tests.stack import DEADLINE_S
from tests.unit.flags_samples import reading

pytestmark = pytest.mark.broker


@dataclass
class Fisher:
    """An officer of the pages that a look-up process writes, by its own key."""

    bus: Bus
    officer: str = field(default_factory=lambda: os.urandom(16).hex())

    def read(self, count: int) -> None:
        """So many strangers, a page each, and the word that the last was released."""
        signer, _ = read_signing_key(self.bus.stack.folder.secrets / "sign-lookup.pem")
        recorder = FakeRecorder(new_recorder_id(), process="lookup", signer=signer)
        producer = Producer(self.bus.stack.client_config())
        for number in range(count):
            record = reading(number, subject=os.urandom(16).hex(), officer=self.officer)
            page = recorder.write(record, at=datetime.now(UTC))
            recorder.release(page)
            self._send(producer, page)
        self._send(producer, recorder.write(at=datetime.now(UTC)))
        assert producer.flush(DEADLINE_S) == 0

    def _send(self, producer: Producer, page: Page) -> None:
        producer.produce(AUDIT_PAGE, frame(1, page.encode()), partition=0)

    def flags(self) -> list[tuple[str, bool]]:
        """The words of this officer's flags, and whether a leaf tells them."""
        return [
            (str(word), bool(told))
            for word, told in query(
                self.bus,
                "select flag, raised_told from flags.flag where officer = %s",
                self.officer,
            )
        ]

    def wait_until_told(self, *, by: Worker) -> None:
        """The flag and its leaf are there."""
        self.bus.wait(lambda: self.flags() == [("fishing", True)], "the flag, and its leaf", by=by)

    def leaves(self) -> list[RecordKind]:
        """The leaves about this officer's flags; of other officers' there may be some, too."""
        rows = query(self.bus, "select record from flags.flag where officer = %s", self.officer)
        records = {str(record) for (record,) in rows}
        return [kind for kind, record in told(self.bus) if record in records]

    def total(self) -> int:
        """How many readings are remembered of the officer."""
        rows = query(
            self.bus,
            "select body->>'total' from flags.memory where key = %s",
            f"officer/{self.officer}",
        )
        return int(str(rows[0][0])) if rows else 0


def query(bus: Bus, statement: str, *values: str) -> list[tuple[object, ...]]:
    """Rows; none while the tables are not there."""
    with closing(psycopg.connect(bus.stack.dsn_file("bus").read_text().strip())) as connection:
        try:
            return connection.execute(statement.encode(), values).fetchall()
        except psycopg.errors.UndefinedTable:
            return []


def told(bus: Bus) -> list[tuple[RecordKind, str | None]]:
    """The leaves about flags on the page topic: of which kind, and the record that was flagged."""
    pages = [Page.decode(unframe(m.value() or b"")[1]) for m in bus.read_all(AUDIT_PAGE)]
    records = [Record.decode(leaf) for page in pages for leaf in page.records]
    return [(r.kind, r.req and r.req.id) for r in records if r.kind in FLAG_KINDS]


def run(bus: Bus, *arguments: str) -> str:
    """What a command prints."""
    home = str(bus.stack.folder.home)
    done = CliRunner().invoke(app, [*arguments, "--home", home], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_flag_is_listed_until_another_agency_has_labelled_it(bus: Bus) -> None:
    fisher = Fisher(bus)
    said = ("--label", "benign", "--why", "chiến dịch", "--officer", "tt-1")
    with bus.running("flags") as worker:
        fisher.read(10)
        fisher.wait_until_told(by=worker)
        [flag] = [f for f in listed(bus) if f["officer"] == fisher.officer]
        assert (flag["flag"], flag["state"], flag["agency"]) == ("fishing", "open", "mps")
        with pytest.raises(Refused, match="own agency"):
            run(bus, "label", flag["id"], *said, "--as", "mps")
        assert "is labelled benign" in run(bus, "label", flag["id"], *said, "--as", "npd")
        closing = (RecordKind.FLAG_CLOSED, flag["record"])
        bus.wait(lambda: closing in told(bus), "the leaf of the closing", by=worker)
        assert worker.stop() == 0
    assert fisher.officer not in worker.log.read_text()
    shown = json.loads(run(bus, "show", flag["id"], "--json"))
    assert (shown["state"], [each["label"] for each in shown["labels"]]) == ("labelled", ["benign"])
    assert flag["id"] not in {f["id"] for f in listed(bus)}
    with pytest.raises(Refused, match="no such flag"):
        run(bus, "show", "fishing-0")


def listed(bus: Bus) -> list[dict[str, str]]:
    """The open flags."""
    found: list[dict[str, str]] = json.loads(run(bus, "list", "--json"))["flags"]
    return found


@pytest.mark.crash
def test_nothing_is_lost_or_told_twice_when_the_worker_is_killed(bus: Bus) -> None:
    """It dies behind its transaction, when Kafka knows nothing of it yet."""
    fisher = Fisher(bus)
    fisher.read(10)
    with bus.running("flags", "--die-at", "applied") as worker:
        assert worker.wait() == -signal.SIGKILL
    with bus.running("flags") as worker:
        fisher.wait_until_told(by=worker)
        assert worker.stop() == 0
    assert fisher.total() == 10
    assert fisher.leaves() == [RecordKind.FLAG_RAISED]
