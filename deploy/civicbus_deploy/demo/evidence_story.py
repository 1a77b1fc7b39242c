"""Chapters on evidence: who read, a citizen's own list, cosigned proofs, a bundle, forgeries.

As `story`: each chapter does what it tells on the running stack, and adds its checks.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from civicbus_audit.directory import LedgerDirectory
from civicbus_audit.query import Query
from civicbus_audit.quorum import Policy, open_cosigned
from civicbus_audit.tiles import ENTRIES, WIDTH, tile_at
from civicbus_audit.verify import published, verify_ledger
from civicbus_schemas.errors import EvidenceBroken, InvalidBytes

from civicbus_deploy.demo.people import Family, Somebody
from civicbus_deploy.demo.scene import Scene
from civicbus_deploy.demo.story import MAY_HAVE_A_BIRTH, Told
from civicbus_deploy.demo.teller import Teller

_A_DAY = timedelta(days=1)


def tell_readers(scene: Scene, teller: Teller, told: Told, *, family: Family) -> None:
    """Who read about the child, for what, and on what ground."""
    teller.chapter("Who read about the child?")
    subject = scene.name_of(family.child.pin)
    entries = [e for e in scene.find(Query(subject=subject, limit=1000)) if e.decision == "permit"]
    teller.table(
        ("when (UTC)", "who", "what", "fields", "purpose", "ground"),
        [
            (
                f"{e.at:%H:%M:%S}" if e.at else "",
                str(e.recipient),
                str(e.dataset),
                str(len(e.fields)),
                str(e.purpose),
                str(e.basis),
            )
            for e in reversed(entries)
        ],
    )
    told.checks["every_reading_of_the_child_is_found"] = {
        e.recipient for e in entries
    } >= MAY_HAVE_A_BIRTH


def tell_proof(scene: Scene, teller: Teller, told: Told) -> None:
    """One proof, written and then checked by the offline verifier alone."""
    teller.chapter("A proof, checked offline")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "reading.tlog-proof"
        policy = scene.places.policy_file  # the proof's checkpoint must have the witnesses' quorum
        ledger = scene.places.ledger_dir
        _run(
            "civicbus-audit",
            "prove",
            told.record_id,
            "-o",
            file,
            "--ledger",
            ledger,
            "--policy",
            policy,
        )
        checked = _run("civicbus-audit", "verify", "--proof", file, "--policy", policy)
        teller.say(checked.stdout.splitlines()[0] if checked.stdout else checked.stderr)
    told.checks["proof_holds_offline"] = checked.returncode == 0


def tell_forgery(scene: Scene, teller: Teller, told: Told) -> None:
    """One byte is changed in a copy of the ledger, and caught."""
    teller.chapter("One byte changed, in a copy of the ledger")
    with tempfile.TemporaryDirectory() as folder:
        copy, trust = Path(folder) / "ledger", scene.places.trust()
        shutil.copytree(scene.places.ledger_dir, copy)
        size = published(LedgerDirectory(copy), trust)[0].size
        bundle = copy / tile_at(ENTRIES, (size - 1) // WIDTH, size=size).path
        data = bytearray(bundle.read_bytes())
        data[len(data) // 2] ^= 1
        bundle.write_bytes(data)
        try:
            verify_ledger(LedgerDirectory(copy), trust)
        except (EvidenceBroken, InvalidBytes) as caught:
            teller.say(f"Caught: {caught}")
            told.checks["changed_byte_is_caught"] = True
        else:
            teller.say("Not caught.")
            told.checks["changed_byte_is_caught"] = False


def tell_citizen(scene: Scene, teller: Teller, told: Told, *, citizen: Somebody) -> None:
    """The citizen asks who read about her; that she asked is on record, too."""
    teller.chapter("The mother asks who read about her")
    answered = _run(
        "civicbus", "officers", "ask", "--as", "citizen", "--name", citizen.pin.number,
        "--purpose", "subject.own-data", "--home", scene.folder.home, "--json",
    )  # fmt: skip
    answer = json.loads(answered.stdout) if answered.returncode == 0 else {"rows": []}
    rows = answer["rows"]
    teller.table(
        ("when (UTC)", "who", "fields", "purpose", "leaf"),
        [
            (row["at"][11:19], row["recipient"], str(len(row["fields"])), row["purpose"],
             str(row["leaf"]))
            for row in rows
        ],
    )  # fmt: skip
    teller.say("Each row has its proof; her question is a leaf itself.")
    told.checks["citizen_sees_who_read_about_her"] = bool(rows) and all(
        row["proof"] and row["leaf"] >= 0 for row in rows
    )


def tell_cosigning(scene: Scene, teller: Teller, told: Told) -> None:
    """Who besides the log vouches for the checkpoint."""
    teller.chapter("Who vouches for the ledger")
    trust = scene.places.trust()
    checkpoint, note = published(scene.places.directory(), trust)
    witnesses = open_cosigned(note, trust).times_s if isinstance(trust, Policy) else {}
    for name, seconds in sorted(witnesses.items()):
        at = datetime.fromtimestamp(seconds, UTC)
        teller.say(f"{name} has seen these {checkpoint.size} leaves at {at:%H:%M:%S} UTC.")
    told.checks["checkpoint_is_cosigned"] = len(witnesses) >= 2


def tell_bundle(scene: Scene, teller: Teller, told: Told, *, family: Family) -> None:
    """An officer's bundle holds where nothing of ours is installed, and breaks by one byte."""
    teller.chapter("Evidence for a court")
    now, keys = datetime.now(UTC), scene.folder.keys
    with tempfile.TemporaryDirectory() as folder:
        bundle, verifier = Path(folder) / "bundle", Path(folder) / "verify.py"
        _run(
            "civicbus", "audit", "export", bundle, "--by", "mps/tt-1",
            "--why", "complaint TT-2026/7",
            "--subject", scene.name_of(family.child.pin),
            "--since", (now - _A_DAY).isoformat(), "--until", (now + _A_DAY).isoformat(),
            "--home", scene.folder.home,
        )  # fmt: skip
        shutil.copy(bundle / "verify.py", verifier)
        whole = _verify_alone(verifier, bundle, keys=keys)
        teller.say(f"python3 -I -S verify.py: {_first_line(whole)}")
        records = bundle / "records.ndjson"
        data = bytearray(records.read_bytes())
        data[len(data) // 2] ^= 1
        records.write_bytes(data)
        edited = _verify_alone(verifier, bundle, keys=keys)
        teller.say(f"One byte edited: {_first_line(edited)}")
    told.checks["bundle_verifies_alone"] = whole.returncode == 0
    told.checks["edited_bundle_is_caught"] = edited.returncode == 1


def _verify_alone(verifier: Path, bundle: Path, *, keys: Path) -> subprocess.CompletedProcess[str]:
    """Run the one file without our packages, and without any other."""
    known = ("--policy", keys / "audit-policy", "--exporter", keys / "exporter.vkey")
    command = [sys.executable, "-I", "-S", verifier, "bundle", bundle, *known]
    return _run_command(command, env={})


def _first_line(done: subprocess.CompletedProcess[str]) -> str:
    return ((done.stdout or done.stderr).strip().splitlines() or ["nothing was said"])[0]


def _run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one of our commands as its user would."""
    return _run_command([Path(sys.executable).with_name(program), *arguments])


def _run_command(
    command: list[object], *, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        list(map(str, command)), capture_output=True, text=True, check=False, env=env
    )
