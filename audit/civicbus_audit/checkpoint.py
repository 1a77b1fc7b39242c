"""C2SP tlog-checkpoint: what a log vouches for, namely its origin, its size and its root. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from civicbus_schemas.errors import EvidenceBroken

from civicbus_audit.canonical import malformed, parse_decimal, parse_hash, to_base64
from civicbus_audit.merkle import EMPTY_ROOT
from civicbus_audit.note import Signer, Verifier, open_note


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The root of the first `size` leaves of the log `origin`."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text. There are no extension lines: time comes from witnesses."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note's text; extension lines are allowed and not looked at.

    Raises `InvalidBytes`, or `EvidenceBroken` if an empty log has another root than nothing has.
    """
    lines = text.split("\n")
    if len(lines) < 4 or "" in lines[:-1] or lines[-1]:
        malformed("not a checkpoint", expected="the lines origin, size and root")
    size = parse_decimal(lines[1], what="the checkpoint's size")
    root = parse_hash(lines[2], what="the checkpoint's root")
    if size == 0 and root != EMPTY_ROOT:
        raise EvidenceBroken("an empty log has another root than SHA-256 of nothing")
    return Checkpoint(origin=lines[0], size=size, root=root)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The checkpoint as a note signed by the log."""
    _check_origin(checkpoint, signer.verifier)
    return signer.sign(checkpoint.text)


def open_checkpoint(note: bytes, log: Verifier) -> Checkpoint:
    """The checkpoint of a note that this log signed."""
    checkpoint = parse_checkpoint(open_note(note, log))
    _check_origin(checkpoint, log)
    return checkpoint


def _check_origin(checkpoint: Checkpoint, log: Verifier) -> None:
    if checkpoint.origin != log.name:
        raise EvidenceBroken(
            "the checkpoint is of another log",
            got=ascii(checkpoint.origin[:80]),
            expected=ascii(log.name),
        )
