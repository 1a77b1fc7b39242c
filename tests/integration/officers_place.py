"""A provisioned bus with sealing and the officers' process, and questions that are put to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from civicbus_consumers.officers.rules import Role
from civicbus_consumers.officers.token import make_pass
from civicbus_schemas.codec import unframe
from civicbus_schemas.ids import AgencyId
from civicbus_schemas.page import HeaderLeaf, Page
from civicbus_schemas.record import Record
from civicbus_schemas.topics import AUDIT_PAGE
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.bus import Bus, Worker

INSPECTOR = "tt-0042 Lê Văn Hùng"
_ISSUER_OF = {
    Role.OFFICER: "mps",
    Role.SUPERVISOR: "mps",
    Role.AUDITOR: "bank",
    Role.CITIZEN: "vneid",
}


@dataclass
class OfficersPlace:
    """The officers' process of one bus."""

    bus: Bus

    @contextmanager
    def serving(self, *options: str) -> Iterator[Worker]:
        """The process, ready."""
        with self.bus.running("officers", *options) as worker:
            self.bus.wait(lambda: self._is_ready(worker), "the officers' process to be ready")
            yield worker

    def _is_ready(self, worker: Worker) -> bool:
        assert worker.process.poll() is None, worker.log.read_text()[-2000:]
        return self.bus.is_ready("officers")

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.bus.stack.ports['officers']}"

    def bearer(self, role: Role, sub: str = INSPECTOR) -> dict[str, str]:
        """A token of the role's issuer in this stack."""
        issuer = AgencyId(_ISSUER_OF[role])
        pem = (self.bus.stack.folder.secrets / f"officers-{issuer}.pem").read_bytes()
        key = load_pem_private_key(pem, password=None)
        assert isinstance(key, Ed25519PrivateKey)
        token = make_pass(issuer, key, sub=sub, role=role, now=time.time())
        return {"Authorization": f"Bearer {token}"}

    def ask(self, document: Any, role: Role = Role.OFFICER, sub: str = INSPECTOR) -> httpx.Response:
        """One question."""
        return httpx.post(
            f"{self.url}/v1/audit/queries",
            json=document,
            headers=self.bearer(role, sub),
            timeout=20,
        )

    def rows(self, document: Any, role: Role = Role.OFFICER, sub: str = INSPECTOR) -> list[Any]:
        """The rows of an answer."""
        answer = self.ask(document, role, sub)
        assert answer.status_code == 200, answer.text
        found: list[Any] = answer.json()["rows"]
        return found

    def pages(self, process: str = "officers") -> list[tuple[HeaderLeaf, list[Record]]]:
        """Every durable page of this process (or `officers-orders`): header and records."""
        pages = [
            Page.decode(unframe(bytes(message.value() or b""))[1])
            for message in self.bus.read_all(AUDIT_PAGE)
        ]
        read = [(HeaderLeaf.decode(page.header), page.records) for page in pages]
        return [
            (header, [Record.decode(leaf) for leaf in leaves])
            for header, leaves in read
            if header.header.process == process
        ]

    def records(self) -> list[Record]:
        """Every durable question."""
        return [record for _, records in self.pages() for record in records]
