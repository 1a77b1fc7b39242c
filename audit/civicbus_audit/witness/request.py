"""The body of add-checkpoint (C2SP tlog-witness): old size, proof, empty line, checkpoint. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from civicbus_audit.canonical import malformed, parse_decimal, parse_hash, to_base64

MAX_REQUEST_BYTES = 128 * 1024
MAX_PROOF_LINES = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A new checkpoint (a signed note, verbatim), and the proof that it continues size `old_size`.

    Nothing in it has been verified.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes


def format_request(request: Request) -> bytes:
    """The body that says this."""
    lines = [f"old {request.old_size}", *map(to_base64, request.proof)]
    return ("\n".join(lines) + "\n\n").encode() + request.note


def parse_request(body: bytes) -> Request:
    """The parts of a body; raises `InvalidBytes` on the slightest departure from the format."""
    if len(body) > MAX_REQUEST_BYTES:
        malformed("the request is too long", got=f"{len(body)} bytes", expected=MAX_REQUEST_BYTES)
    head, separator, note = body.partition(b"\n\n")
    if not separator or not note:
        malformed("the request has no checkpoint", expected="an empty line, then a checkpoint")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        malformed("the request is not ASCII before its checkpoint")
    if not first.startswith("old "):
        malformed("the request names no old size", expected="old <decimal>")
    if len(lines) > MAX_PROOF_LINES:
        malformed("the proof is too long", got=f"{len(lines)} lines", expected=MAX_PROOF_LINES)
    return Request(
        old_size=parse_decimal(first.removeprefix("old "), what="the old size"),
        proof=tuple(parse_hash(line, what="a hash of the proof") for line in lines),
        note=note,
    )
