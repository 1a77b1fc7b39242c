"""What a witness cosigned last, held against the ledger: asked by anybody, of any witness.

A witness that holds a history which the ledger does not continue has seen another one; so has a
witness that has forgotten what it cosigned, if its store was put back.
"""

from __future__ import annotations

import hashlib
import http.client
from http import HTTPStatus

from civicbus_schemas.errors import EvidenceBroken, Unavailable

from civicbus_audit.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from civicbus_audit.merkle import EMPTY_ROOT, root_of_range
from civicbus_audit.note import Verifier, parse_note
from civicbus_audit.quorum import Policy, Witness, cosigned_times
from civicbus_audit.stored import StoredLog
from civicbus_audit.witness.address import Address

_MAX_BYTES = 65_536
_TIMEOUT_S = 2.0


def fetch_held(witness: Witness, origin: str) -> bytes | None:
    """The note that a witness cosigned last of this log; None if it says that it never did.

    Raises `Unavailable`.
    """
    address = Address.parse(witness.url, what=f"the policy's witness {witness.name!a}")
    connection = address.connection(timeout_s=_TIMEOUT_S)
    place = f"{address.prefix}/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint"
    try:
        connection.request("GET", place)
        answer = connection.getresponse()
        note: bytes = answer.read(_MAX_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(
            f"the witness {witness.name!a} does not answer", got=type(error).__name__
        ) from None
    finally:
        connection.close()
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    if answer.status != HTTPStatus.OK:
        raise Unavailable(f"the witness {witness.name!a} answered {answer.status}")
    return note


def cosigned_sizes(note: bytes, policy: Policy) -> dict[str, int]:
    """Who of the policy's witnesses cosigned a published note, and so the size that it has seen."""
    parsed = parse_note(note)
    text = parsed.unverified_text
    names = cosigned_times(text, parsed.signatures, policy)
    return dict.fromkeys(names, parse_checkpoint(text).size)


def check_held(note: bytes | None, witness: Witness, *, log: Verifier, least: int) -> Checkpoint:
    """The checkpoint that a witness holds: signed by the log and by it, and not below `least`.

    Raises `EvidenceBroken`, or `InvalidBytes` where it is not even a note.
    """
    if note is None:
        if least:
            raise _forgot(witness, held=0, least=least)
        return Checkpoint(origin=log.name, size=0, root=EMPTY_ROOT)
    held = open_checkpoint(note, log)
    parsed = parse_note(note)
    lines = [line for line in parsed.signatures if witness.cosigner.made(line)]
    if not lines:
        raise EvidenceBroken(f"the witness {witness.name!a} has not cosigned what it holds")
    for line in lines:
        witness.cosigner.time_s(parsed.unverified_text, line)
    if held.size < least:
        raise _forgot(witness, held=held.size, least=least)
    return held


def check_continues(held: Checkpoint, witness: Witness, stored: StoredLog) -> None:
    """Raise `EvidenceBroken` unless the stored log begins with what the witness holds."""
    if held.size > stored.size:
        raise EvidenceBroken(
            f"the witness {witness.name!a} has cosigned a larger log: this one was rolled back",
            got=f"{stored.size} leaves",
            expected=f"at least {held.size}",
        )
    if held.size and root_of_range(0, held.size, stored.node) != held.root:
        raise EvidenceBroken(
            f"the witness {witness.name!a} has cosigned another history of {held.size} leaves",
            next_step="keep both checkpoints; they are the evidence",
        )


def _forgot(witness: Witness, *, held: int, least: int) -> EvidenceBroken:
    return EvidenceBroken(
        f"the witness {witness.name!a} has forgotten what it cosigned: its store was put back",
        got=f"{held} leaves",
        expected=f"at least {least}",
    )
