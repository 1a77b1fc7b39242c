"""What a witness answers to add-checkpoint, as C2SP tlog-witness says. Pure.

`authenticate` needs no state; `judge` compares with what the witness holds, and must be asked in
the same transaction that keeps its answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from civicbus_schemas.errors import EvidenceBroken, InvalidBytes

from civicbus_audit.checkpoint import Checkpoint, parse_checkpoint
from civicbus_audit.merkle import EMPTY_ROOT, verify_consistency
from civicbus_audit.note import Verifier, open_note, parse_note
from civicbus_audit.witness.request import Request


class Status(IntEnum):
    """The specification's codes for a checkpoint that is not cosigned."""

    MALFORMED = 400
    NOT_SIGNED = 403
    UNKNOWN_LOG = 404
    STALE = 409
    INCONSISTENT = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The last checkpoint of a log that this witness cosigned; size 0 if it never did."""

    size: int = 0
    root: bytes = EMPTY_ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why nothing is cosigned; `size` is what the witness holds, where the code is 409."""

    status: Status
    why: str
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A checkpoint that a known log signed, and its text, which is what gets cosigned.

    `note` is without the signatures of strangers.
    """

    checkpoint: Checkpoint
    text: str
    note: bytes


def authenticate(request: Request, logs: Mapping[str, Verifier]) -> Submitted | Refusal:
    """The request's checkpoint, if one of these logs (by origin) signed it."""
    try:
        parsed = parse_note(request.note)
    except InvalidBytes as error:
        return Refusal(status=Status.MALFORMED, why=str(error))
    text = parsed.unverified_text
    log = logs.get(text.partition("\n")[0])
    if log is None:
        return Refusal(status=Status.UNKNOWN_LOG, why="this witness does not know the log")
    try:
        open_note(request.note, log)
    except EvidenceBroken as error:
        return Refusal(status=Status.NOT_SIGNED, why=str(error))
    lines = (str(s) for s in parsed.signatures if (s.name, s.key_id) == (log.name, log.key_id))
    note = f"{text}\n{''.join(lines)}".encode()
    try:
        return Submitted(checkpoint=parse_checkpoint(text), text=text, note=note)
    except InvalidBytes as error:
        return Refusal(status=Status.MALFORMED, why=str(error))
    except EvidenceBroken as error:
        return Refusal(status=Status.INCONSISTENT, why=str(error))


def judge(request: Request, checkpoint: Checkpoint, held: Held) -> Held | Refusal:
    """What the witness holds from now on, if the checkpoint continues what it held."""
    if request.old_size > checkpoint.size:
        return Refusal(status=Status.MALFORMED, why="the old size is larger than the checkpoint's")
    if request.old_size != held.size:
        return Refusal(
            status=Status.STALE, why="the old size is not what this witness holds", size=held.size
        )
    accepted = Held(size=checkpoint.size, root=checkpoint.root)
    try:
        _check_continues(request, accepted, held)
    except EvidenceBroken as error:
        return Refusal(status=Status.INCONSISTENT, why=str(error))
    return accepted


def _check_continues(request: Request, new: Held, held: Held) -> None:
    if held.size == 0:  # the beginning of every log, so there is nothing to prove
        if request.proof:
            raise EvidenceBroken("a proof from size 0 is not empty")
        return
    verify_consistency(
        request.proof,
        old_size=held.size,
        new_size=new.size,
        old_root=held.root,
        new_root=new.root,
    )
