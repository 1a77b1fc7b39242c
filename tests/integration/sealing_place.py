"""A page topic, a ledger and an index of a test's own, and the means to write and check them."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event

from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.index.database import make_engine
from civicbus_audit.index.filling import indexed_size
from civicbus_audit.note import Verifier
from civicbus_audit.stored import StoredLog
from civicbus_audit.verify import published, verify_ledger
from civicbus_consumers.indexing import app as indexing
from civicbus_consumers.indexing.settings import IndexingSettings
from civicbus_consumers.sealing import app as sealing
from civicbus_consumers.sealing.handler import Step
from civicbus_consumers.sealing.settings import SealingSettings
from civicbus_schemas.codec import frame
from civicbus_schemas.errors import BusError
from civicbus_schemas.page import Page
from civicbus_schemas.topics import SEALING
from confluent_kafka import Producer
from confluent_kafka.admin import AclOperation
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fakes.pages import keys_document
from tests.nursery import Child, fork
from tests.stack import DEADLINE_S, Stack
from tests.threads import running

ORIGIN = "civicbus.local/audit"
USER = "sealing-tester"
LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class SealingPlace:
    """Everything one sealing process needs."""

    stack: Stack
    folder: Path
    topic: str
    producer: Producer

    @classmethod
    def create(cls, stack: Stack, folder: Path) -> SealingPlace:
        topic = f"pages-{secrets.token_hex(4)}"
        place = cls(stack, folder, topic, Producer({**stack.client_config(), "log_level": 0}))
        stack.create_topics(topic, config={"max.message.bytes": str(8 << 20)})
        stack.create_user(USER)
        stack.grant(USER, AclOperation.READ, topic=topic)
        stack.grant(USER, AclOperation.READ, group=SEALING)
        pem = LOG_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        place._write("log-key.pem", pem)
        place._write("dsn", stack.create_database().encode())
        place._write("recorders.json", json.dumps(keys_document()).encode())
        place._write("sealing.json", json.dumps(place._document()).encode())
        place._write("ledger.vkey", f"{place.verifier}\n".encode())
        place._write("indexing.json", json.dumps(place._indexing_document()).encode())
        return place

    @property
    def ledger_dir(self) -> Path:
        return self.folder / "ledger"

    @property
    def verifier(self) -> Verifier:
        return Verifier(name=ORIGIN, public_key=LOG_KEY.public_key().public_bytes_raw())

    @property
    def settings(self) -> SealingSettings:
        return SealingSettings.read(self.folder / "sealing.json")

    def send(
        self, *pages: Page | bytes, traceparent: str | None = None, at: datetime | None = None
    ) -> None:
        """Write pages as recorders do, or any bytes, and wait; now, or as of another time."""
        stamp_ms = 0 if at is None else int(at.timestamp() * 1000)
        headers = [("traceparent", traceparent.encode())] if traceparent else []
        for page in pages:
            value = page if isinstance(page, bytes) else frame(7, page.encode())
            self.producer.produce(
                self.topic, value, partition=0, headers=headers, timestamp=stamp_ms
            )
        assert self.producer.flush(DEADLINE_S) == 0

    def leaves(self) -> list[bytes]:
        """The leaves under the published checkpoint, the whole ledger verified."""
        directory = LedgerDirectory(self.ledger_dir)
        size = verify_ledger(directory, self.verifier).size
        return [leaf for _, leaf in StoredLog(directory.read, size).leaves()]

    def size(self) -> int:
        """Of the published checkpoint; -1 before there is one."""
        if not (self.ledger_dir / "checkpoint").exists():
            return -1
        return published(LedgerDirectory(self.ledger_dir), self.verifier)[0].size

    def indexed(self) -> int:
        """How many leaves the index has; -1 before there is one."""
        engine = make_engine(self.folder / "dsn")
        try:
            return indexed_size(engine)
        except BusError:
            return -1
        finally:
            engine.dispose()

    @contextmanager
    def sealing(self) -> Iterator[Callable[[], bool]]:
        """Seal and index in threads of this process while the body runs.

        The body is given the question whether one of the two has ended.
        """
        stop = Event()
        index = IndexingSettings.read(self.folder / "indexing.json")
        seal = partial(sealing.run, self.settings, stop, topic=self.topic)
        with running(seal, partial(indexing.run, index, stop), stop=stop) as ended:
            yield ended

    def start(self, step: Step | None = None, *, skip: int = 0) -> Child:
        """A process of its own, which kills itself after a step, having skipped some."""
        return self._start(step.value if step else "-", skip)

    def start_jumping(self, *, jumps: int) -> Child:
        """One whose clock jumps hours between and within appends; it dies at the last jump."""
        return self._start("jumps", jumps)

    def _start(self, what: str, count: int) -> Child:
        command = [
            *(sys.executable, "-m", "tests.integration.sealing_process"),
            *(str(self.folder / "sealing.json"), self.topic, what, str(count)),
        ]
        log = self.folder / f"process-{secrets.token_hex(4)}.log"
        return fork(command, log=log, cwd=_ROOT, environment={})

    def logs(self) -> str:
        """What all processes of this place have said."""
        return "".join(log.read_text() for log in self.folder.glob("process-*.log"))

    def settle(self, **settings: object) -> None:
        """Change settings of sealing, for processes that start from now on."""
        file = self.folder / "sealing.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))

    def start_indexing(self) -> Child:
        """The indexing process."""
        module = (sys.executable, "-P", "-m", "civicbus_consumers.indexing")
        command = [*module, "--settings", str(self.folder / "indexing.json")]
        log = self.folder / f"process-{secrets.token_hex(4)}.log"
        return fork(command, log=log, cwd=_ROOT, environment={})

    def _indexing_document(self) -> dict[str, object]:
        return {
            "name": "indexing",
            "environment": "development",
            "health_port": 0,
            "ledger_dir": str(self.ledger_dir),
            "ledger_vkey_file": str(self.folder / "ledger.vkey"),
            "postgres_dsn_file": str(self.folder / "dsn"),
        }

    def _document(self) -> dict[str, object]:
        return {
            "name": "sealing",
            "environment": "development",
            "bootstrap": self.stack.bootstrap,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "username": USER,
            "password_file": str(self.stack.folder.secrets / f"kafka-{USER}"),
            "registry_url": self.stack.registry_url,
            "health_port": 0,
            "ledger_dir": str(self.ledger_dir),
            "log_key_file": str(self.folder / "log-key.pem"),
            "origin": ORIGIN,
            "postgres_dsn_file": str(self.folder / "dsn"),
            "recorder_keys_file": str(self.folder / "recorders.json"),
            "commit_every_s": 31 * 86_400,  # no hour passes in a test but where it asks for one
        }

    def _write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(0o600)
