"""The answer to each question about a ledger. Reads files; knows no sockets.

Leaves are about people: entry bundles, the leaf within a proof, and a search by a record's id are
for whoever brings the token. Hashes and checkpoints are for everybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from typing import assert_never

from civicbus_schemas.errors import Refused

from civicbus_audit.canonical import to_base64
from civicbus_audit.finding import find_record
from civicbus_audit.merkle import consistency_proof, inclusion_proof
from civicbus_audit.proof import LogProof, format_proof
from civicbus_audit.pruning import open_log
from civicbus_audit.quorum import Trust
from civicbus_audit.serving.published import Publications, Published
from civicbus_audit.serving.questions import (
    AskCheckpoint,
    AskConsistency,
    AskInclusion,
    AskTile,
    Code,
    Problem,
    Question,
)
from civicbus_audit.stored import Read, StoredLog
from civicbus_audit.tiles import ENTRIES, Tile, check_form, is_within

_TEXT, _BYTES = "text/plain; charset=utf-8", "application/octet-stream"
_NEVER, _BRIEFLY, _FOREVER = "no-cache", "max-age=60", "max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The body, its media type, and for how long who may keep it."""

    body: bytes
    media_type: str
    caching: str
    headers: dict[str, str] = field(default_factory=dict)


class Answering:
    """Answers about one ledger; safe to call from many threads."""

    def __init__(self, read: Read, trust: Trust) -> None:
        self._read = read
        self._publications = Publications(read, trust)
        self._searching = Lock()

    def check(self) -> None:
        """Returns if there is a checkpoint that may be served."""
        self._publications.newest()

    def answer(self, question: Question, *, trusted: bool) -> Answer:
        """What is told; raises `Problem`, or `EvidenceBroken` or `InvalidBytes` if the ledger
        contradicts itself.

        `trusted`: the caller brought the token, and may see leaves.
        """
        newest = self._publications.newest()
        match question:
            case AskCheckpoint():
                return Answer(body=newest.note, media_type=_TEXT, caching=f"public, {_NEVER}")
            case AskTile():
                return self._tile(question, newest, trusted=trusted)
            case AskInclusion():
                return self._inclusion(question, newest, trusted=trusted)
            case AskConsistency():
                return self._consistency(question, newest)
            case _:
                assert_never(question)

    def _tile(self, question: AskTile, newest: Published, *, trusted: bool) -> Answer:
        tile = question.tile
        if question.restricted and not trusted:
            raise _token_required("leaves are about people and not for everybody")
        # a mirror must hold what it is asked to cosign, which is not published before that
        size = self._publications.signed_size() if trusted else newest.checkpoint.size
        if not is_within(tile, size):
            raise _not_published(newest, got=tile.path)
        if question.restricted:
            self._check_kept(tile, newest)
        try:
            body = self._read(tile.path)
        except FileNotFoundError:
            raise Problem(
                Code.NOT_PUBLISHED,
                "no checkpoint ended within this tile, or the full one has taken its place",
                got=tile.path,
                expected=f"{replace(tile, width=256).path}, or the width of a checkpoint",
            ) from None
        check_form(body, tile)
        scope = "private" if question.restricted else "public"
        lifetime = _BRIEFLY if tile.partial else _FOREVER
        return Answer(body=body, media_type=_BYTES, caching=f"{scope}, {lifetime}")

    def _check_kept(self, bundle: Tile, newest: Published) -> None:
        log = open_log(self._read, newest.checkpoint.size)
        if bundle.index < log.bundles.start:
            raise Problem(
                Code.PRUNED,
                "these entries were pruned after their retention; their hashes are served",
                got=bundle.path,
                expected=Tile(level=ENTRIES, index=log.bundles.start).path,
            )

    def _inclusion(self, question: AskInclusion, newest: Published, *, trusted: bool) -> Answer:
        if question.restricted and not trusted:
            raise _token_required("looking for an id reads the whole ledger; an index is for all")
        size = newest.checkpoint.size if question.size is None else question.size
        meant = self._publications.find(size)
        if meant is None:
            raise _not_published(newest, got=f"size {size}")
        log = open_log(self._read, newest.checkpoint.size)
        index = self._find(log, question.id) if question.id is not None else question.index
        if index is None or index >= size:
            raise Problem(Code.NO_SUCH_LEAF, "there is no such leaf", got=f"{size} leaves")
        proof = LogProof(
            index=index,
            hashes=inclusion_proof(index, size, log.node),
            checkpoint=meant.note,
            extra=log.leaf(index) if trusted and index >= log.first else None,
        )
        scope = "private" if trusted else "public"
        lifetime = _NEVER if question.size is None else _FOREVER
        return Answer(
            body=format_proof(proof),
            media_type=_TEXT,
            caching=f"{scope}, {lifetime}",
            headers={"Vary": "Authorization"},
        )

    def _consistency(self, question: AskConsistency, newest: Published) -> Answer:
        if question.new > newest.checkpoint.size:
            raise _not_published(newest, got=f"size {question.new}")
        nodes = StoredLog(self._read, newest.checkpoint.size).node
        lines = map(to_base64, consistency_proof(question.old, question.new, nodes))
        body = "".join(f"{line}\n" for line in lines).encode()
        return Answer(body=body, media_type=_TEXT, caching=f"public, {_FOREVER}")

    def _find(self, log: StoredLog, id_: str) -> int | None:
        """Reads all bundles, so only one at a time."""
        if not self._searching.acquire(blocking=False):
            raise Problem(Code.BUSY, "another record is being looked for", expected="ask by index")
        try:
            return find_record(log, id_)
        finally:
            self._searching.release()


def _token_required(what: str) -> Refused:
    return Problem(
        Code.TOKEN_REQUIRED,
        what,
        expected="Authorization: Bearer <the token of this ledger's mirrors>",
    )


def _not_published(newest: Published, *, got: str) -> Refused:
    size = newest.checkpoint.size
    return Problem(
        Code.NOT_PUBLISHED, "this is not published", got=got, expected=f"a log of {size} leaves"
    )
