"""Writing a bundle: one pass over the ledger, in memory that does not grow with it.

What matches is decided leaf by leaf from the bundles (`query`), not by the index, and the leaves
that are read must lead to the signed root. So nothing that matches can be missing, unless whoever
runs this program wants it so; the manifest is his signed word for it, and where index commits can
answer the query, the bundle proves it.
"""

from __future__ import annotations

import json
import os
import shutil
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

from civicbus_schemas.errors import EvidenceBroken, Refused, TooLarge, Unavailable

from civicbus_audit.checkpoint import Checkpoint
from civicbus_audit.crew import ALONE, Crew
from civicbus_audit.evidence.completeness import Completeness, asked_by, document, write_proof
from civicbus_audit.evidence.container import write_zip
from civicbus_audit.evidence.explanation import README
from civicbus_audit.evidence.gathering import Piece, gather
from civicbus_audit.evidence.records import COLUMNS, csv_row
from civicbus_audit.evidence.releases import Releases
from civicbus_audit.evidence.request import Request
from civicbus_audit.multiproof import multiproof
from civicbus_audit.note import Signer, Verifier
from civicbus_audit.policy import format_policy
from civicbus_audit.pruning import open_log
from civicbus_audit.query import Query
from civicbus_audit.quorum import Log, Policy, Trust
from civicbus_audit.recount import recount
from civicbus_audit.standalone import verify as standalone
from civicbus_audit.stored import Progress
from civicbus_audit.verify import Directory, published

FORMAT = "civicbus-evidence@v1"
_RELEASED = {
    "en": "releases.csv says of each disclosure what later pages, up to this checkpoint, told of "
    "it: released, aborted (it may have been seen), or nothing yet. The exporter signs that; the "
    "pages that say it are not in this bundle.",
    "vi": "releases.csv cho biết các trang sau, đến điểm kiểm này, nói gì về từng lần tiết lộ: đã "
    "chuyển giao, đã hủy (có thể đã bị xem), hoặc chưa nói gì. Người xuất ký xác nhận điều đó; các "
    "trang ấy không nằm trong gói này.",
}
_STATEMENT = (
    "Every leaf from the first to the last of the checkpoint was read, and judged by the query; "
    "leaves of kinds that this program does not know are counted as unreadable."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The ledger to read, and whom to believe about its checkpoint."""

    directory: Directory
    trust: Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a bundle holds."""

    records: int
    unreadable: int
    first: int
    checkpoint: Checkpoint
    completeness: Completeness


def export(
    request: Request,
    source: Source,
    target: Path,
    *,
    signer: Signer,
    at: datetime,
    before_reading: Callable[[Request], None],
    max_records: int | None = None,
    on_progress: Progress | None = None,
    crew: Crew = ALONE,
) -> Exported:
    """Writes the bundle: a zip if the target's name ends so, else a folder; all of it or nothing.

    1. `before_reading` records the request; what it raises ends the export before a leaf is read.
    2. The ledger leads to the root that the log signed. 3. Every leaf is read; those that match are
    written. 4. One proof for all of them. 5. The proof that there are no others, where the query
    has one. 6. The files around them, and the signed manifest. 7. The stand-alone verifier finds
    that the bundle holds. 8. It gets its name.

    Raises `TooLarge` beyond `max_records`. `on_progress` is told the leaves read, counted on
    through 2, 3 and 5 (`passes`); what it raises ends the export.
    """
    if target.exists():
        raise Refused(f"{target} is there already", next_step="name another file or folder")
    before_reading(request)  # 1
    checkpoint, note = published(source.directory, source.trust)
    log = open_log(source.directory.read, checkpoint.size)
    if recount(log, on_progress=on_progress, crew=crew) != checkpoint.root:  # 2
        raise EvidenceBroken("the ledger does not lead to its signed root")
    with _staging(target) as folder:
        indices, unreadable = _write_records(  # 3
            folder,
            gather(log, request.query, crew=crew),
            most=max_records,
            tell=on_progress and (lambda read: on_progress(log.size + read)),
        )
        with (folder / "proof.hashes").open("wb") as proof:  # 4
            proof.writelines(multiproof(indices, checkpoint.size, log.node))
        completeness = write_proof(  # 5
            folder,
            asked_by(request.query),
            log=log,
            note=note,
            trust=source.trust,
            records=indices,
            tell=on_progress and (lambda read: on_progress(2 * log.size + read)),
        )
        exported = Exported(
            records=len(indices),
            unreadable=unreadable,
            first=log.first,
            checkpoint=checkpoint,
            completeness=completeness,
        )
        _write_around(folder, note, source.trust, exporter=signer.verifier)  # 6
        _write_manifest(folder, _manifest(request, exported, at=at), signer)
        _verify(folder, source.trust, signer.verifier)  # 7
        _put_in_place(folder, target)  # 8
    return exported


def passes(query: Query) -> int:
    """How often an export reads the ledger, at most."""
    return 2 if asked_by(query) is None else 3


def _write_records(
    folder: Path,
    pieces: Iterable[tuple[int, Piece]],
    *,
    most: int | None,
    tell: Progress | None,
) -> tuple[array[int], int]:
    """The numbers of the leaves that match, 8 bytes each, and how many leaves nobody can read."""
    indices, unreadable, releases = array("Q"), 0, Releases()
    with (
        (folder / "leaves.bin").open("wb") as leaves,
        (folder / "records.ndjson").open("wb") as lines,
        (folder / "records.csv").open("wb") as rows,
    ):
        rows.write(csv_row(COLUMNS))
        for size, piece in pieces:
            leaves.write(piece.leaves)
            lines.write(piece.lines)
            rows.write(piece.rows)
            indices += piece.indices
            unreadable += piece.unreadable
            releases.see_all(piece.seen)
            if most is not None and len(indices) > most:
                raise TooLarge("more records match than this bundle may hold", expected=f"≤ {most}")
            if tell:
                tell(size)
    with (folder / "releases.csv").open("wb") as told:
        told.writelines(releases.rows(indices))
    return indices, unreadable


def _write_around(folder: Path, note: bytes, trust: Trust, *, exporter: Verifier) -> None:
    (folder / "checkpoint").write_bytes(note)
    (folder / "trust.policy").write_bytes(format_policy(_policy(trust)))
    (folder / "exporter.vkey").write_text(f"{exporter}\n")
    (folder / "README.md").write_text(README, "utf-8")
    shutil.copyfile(standalone.__file__, folder / "verify.py")


def _policy(trust: Trust) -> Policy:
    return trust if isinstance(trust, Policy) else Policy(logs=(Log(verifier=trust),))


def _manifest(request: Request, exported: Exported, *, at: datetime) -> dict[str, Any]:
    checkpoint = exported.checkpoint
    return {
        "format": FORMAT,
        **request.document(),
        "exported_at": at.isoformat(timespec="seconds"),
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "records": exported.records,
        "releases": _RELEASED,
        "completeness": {
            "statement": _STATEMENT,
            "first_leaf": exported.first,
            "leaves_read": checkpoint.size - exported.first,
            "unreadable": exported.unreadable,
            **document(exported.completeness),
        },
    }


def _write_manifest(folder: Path, manifest: dict[str, Any], signer: Signer) -> None:
    files = {file.name: _described(file) for file in sorted(folder.iterdir())}
    text = json.dumps(manifest | {"files": files}, ensure_ascii=False, indent=1) + "\n"
    (folder / "manifest.json").write_text(text, "utf-8")
    digest = _described(folder / "manifest.json")["sha256"]
    (folder / "manifest.sig").write_bytes(signer.sign(f"civicbus evidence v1\n{digest}\n"))


def _described(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        digest = file_digest(content, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}


def _verify(folder: Path, trust: Trust, exporter: Verifier) -> None:
    policy = standalone.parse_policy(format_policy(_policy(trust)))
    try:
        standalone.verify_bundle(folder, policy, standalone.parse_key(str(exporter), b"\x01"))
    except standalone.Broken as error:
        raise EvidenceBroken(f"the bundle that was made does not verify: {error}") from None


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """An empty folder beside the target, for its owner's eyes only; it is gone afterwards."""
    place = target.with_name(f".{target.name}.{os.getpid()}.partial")
    folder = place / "bundle"
    try:
        place.mkdir(mode=0o700)
        folder.mkdir(mode=0o700)
        yield folder
    except OSError as error:
        raise Unavailable(
            f"the bundle cannot be written beside {target}", got=type(error).__name__
        ) from None
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _put_in_place(folder: Path, target: Path) -> None:
    if target.suffix == ".zip":
        packed = folder.with_name("bundle.zip")
        write_zip(packed, sorted(folder.iterdir()))
        packed.rename(target)
    else:
        folder.rename(target)
