"""C2SP tlog-proof: one text file that proves a leaf to anyone who knows the log's key. Pure.

We put the leaf itself into the `extra` line, so that the file needs nothing beside it. The format
calls that line unauthenticated; here it is not trusted but hashed, and the hash is what is proved.
"""

from __future__ import annotations

from dataclasses import dataclass

from civicbus_audit.canonical import (
    malformed,
    parse_base64,
    parse_decimal,
    parse_hash,
    to_base64,
)

_HEADER = "c2sp.org/tlog-proof@v1"
_MAX_HASHES = 63
_MAX_BYTES = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProof:
    """An inclusion proof with the checkpoint (a signed note, verbatim) that it leads to."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


def format_proof(proof: LogProof) -> bytes:
    """The bytes of a `.tlog-proof` file."""
    lines = [_HEADER]
    if proof.extra is not None:
        lines.append(f"extra {to_base64(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines.extend(map(to_base64, proof.hashes))
    return ("\n".join(lines) + "\n\n").encode() + proof.checkpoint


def parse_proof(data: bytes) -> LogProof:
    """The parts of a `.tlog-proof` file; the checkpoint's signature is not looked at here."""
    if len(data) > _MAX_BYTES:
        malformed("the proof is too long", got=f"{len(data)} bytes", expected=_MAX_BYTES)
    head, separator, checkpoint = data.partition(b"\n\n")
    if not separator or not checkpoint:
        malformed("the proof has no checkpoint", expected="an empty line, then a checkpoint")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        malformed("the proof is not ASCII before its checkpoint")
    if first != _HEADER:
        malformed("not a proof", got=ascii(first[:40]), expected=_HEADER)
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = parse_base64(lines.pop(0).removeprefix("extra "), what="the extra line")
    if not lines or not lines[0].startswith("index "):
        malformed("the proof names no index", expected="index <decimal>")
    index = parse_decimal(lines.pop(0).removeprefix("index "), what="the proof's index")
    if len(lines) > _MAX_HASHES:
        malformed("the proof is too long", got=f"{len(lines)} hashes", expected=_MAX_HASHES)
    hashes = tuple(parse_hash(line, what="a hash of the proof") for line in lines)
    return LogProof(index=index, hashes=hashes, checkpoint=checkpoint, extra=extra)
