"""A ledger to export from, who exports, and what he asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.evidence.export import Source, export
from civicbus_audit.evidence.request import Request
from civicbus_audit.ledger import Ledger
from civicbus_audit.note import Signer
from civicbus_audit.query import Query
from civicbus_audit.sealer import Sealer
from civicbus_audit.standalone import verify as alone
from civicbus_schemas.ids import AgencyId, RecorderId
from civicbus_schemas.record import Clock
from civicbus_schemas.vocabulary import Outcome, Reason, RecordKind
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fakes.pages import AT, PUBLIC_KEYS, FakeRecorder, decision, messages
from tests.unit.completeness_samples import (
    COMMIT,
    investigation,
    person,
    reading,
    refusal,
    sample_log,
)

ORIGIN = "civicbus.local/audit"
LOG = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
EXPORT_KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x07")
EXPORTER = Signer(f"{ORIGIN}/exporter", EXPORT_KEY)
POLICY = alone.parse_policy(f"log {LOG.verifier}\nquorum none\n".encode())
KEY = alone.parse_key(str(EXPORTER.verifier), b"\x01")
CHILD, OFFICER = "5" * 32, "9" * 32


def request(**filters: object) -> Request:
    query = Query(since=AT - timedelta(days=1), until=AT + timedelta(days=1))
    return Request(
        query=replace(query, **filters),  # type: ignore[arg-type]
        agency=AgencyId("inspectorate"),
        officer="o-17",
        purpose="Complaint 12/2026: who read this child's data",
        case="12/2026",
    )


def _write_keys(home: Path) -> None:
    for name in ("keys", "secrets"):
        (home / name).mkdir()
    (home / "keys/ledger.vkey").write_text(f"{LOG.verifier}\n")
    (home / "keys/exporter.vkey").write_text(f"{EXPORTER.verifier}\n")
    (home / "keys/policy").write_text(f"log {LOG.verifier}\nquorum none\n")
    pem = EXPORT_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (home / "secrets/export-key.pem").write_bytes(pem)
    (home / "secrets/export-key.pem").chmod(0o600)


def make_committed_home(home: Path) -> Path:
    """A ledger with index commits; of person 1: 2 decisions and a consent, then an investigation,
    a refusal and a leaf without its end, then the last commit (leaf 11), then one more decision.
    """
    _write_keys(home)
    consent = replace(reading(1), kind=RecordKind.CONSENT_GIVE)
    cut = reading(1, hours=1).encode()[:-3]
    officers = decision(subject=person(3), officer=OFFICER)
    first = (reading(2), reading(1), consent, officers, reading(1, recipient="bank"))
    second = (investigation(1, hours=1), refusal(1), reading(2, hours=1), cut)
    last = (reading(1, hours=2), reading(3, hours=2))
    leaves = sample_log(*first, COMMIT, *second, b"unknown", COMMIT, *last).leaves
    with Ledger.open(home / "ledger", origin=ORIGIN, signer=LOG) as ledger:
        ledger.append([*leaves], [b""] * len(leaves), position=1)
    return home


def make_home(home: Path) -> Path:
    """A state folder with a ledger of 800 leaves: pages of records, and some that nobody knows."""
    _write_keys(home)
    recorder = FakeRecorder(RecorderId("a" * 32))
    odd = {"officer": OFFICER, "recipient": "bank"}
    pages = [
        recorder.write(
            *(decision(subject="6" * 32, minutes=i) for i in range(30)),
            decision(subject=CHILD, outcome=Outcome.DENY, reason=Reason.NO_CONSENT, **odd),  # type: ignore[arg-type]
            replace(decision(subject=CHILD), clock=Clock(src="=cmd|'/c calc'!A0", err_us=-7)),
        )
        for _ in range(24)
    ]
    with Ledger.open(home / "ledger", origin=ORIGIN, signer=LOG) as ledger:
        Sealer(ledger, keys=PUBLIC_KEYS).seal(messages(*pages))
        ledger.append([b"unknown"] * 8, [b""] * 8, position=ledger.position + 1)
    return home


def source(home: Path) -> Source:
    return Source(directory=LedgerDirectory(home / "ledger"), trust=LOG.verifier)


def make(home: Path, target: Path, asked: Request) -> int:
    done = export(
        asked, source(home), target, signer=EXPORTER, at=AT, before_reading=lambda _: None
    )
    return done.records


def make_child_bundle(home: Path, folder: Path) -> Path:
    """A folder with all that the ledger tells about the child."""
    target = folder / "child"
    assert make(home, target, request(subject=CHILD)) == 48
    return target


def flipped(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))
