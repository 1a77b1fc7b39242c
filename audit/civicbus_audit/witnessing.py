"""The log's side of cosigning: asks the witnesses all at once, and gathers what they answer.

Nothing is published here (`publishing`); a witness that is slow, dead or lies costs its own line.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Protocol

from civicbus_schemas.errors import BusError, EvidenceBroken, Unavailable

from civicbus_audit.checkpoint import Checkpoint, parse_checkpoint
from civicbus_audit.cosignature import Cosigner
from civicbus_audit.merkle import consistency_proof
from civicbus_audit.note import Signature, parse_note
from civicbus_audit.quorum import Policy
from civicbus_audit.stored import StoredLog
from civicbus_audit.witness.request import Request

_ATTEMPTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """The witness holds another size than the request began from (409)."""

    size: int


class Asked(Protocol):
    """A witness as the log sees it (`witness.client.HttpWitness`)."""

    name: str
    cosigner: Cosigner

    def add_checkpoint(self, request: Request) -> tuple[Signature, ...] | Stale:
        """Its signature lines, which nobody has verified yet, or the size that it holds.

        Raises `Unavailable` if it does not answer, `EvidenceBroken` if it refuses otherwise.
        """
        ...

    def close(self) -> None:
        """Let go of a kept connection."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The cosignatures by witness, and why there is none of the others."""

    lines: dict[str, Signature] = field(default_factory=dict)
    failures: dict[str, BusError] = field(default_factory=dict)


class Witnessing:
    """Asks the witnesses of one policy; remembers which size each of them holds."""

    def __init__(
        self,
        policy: Policy,
        witnesses: Sequence[Asked],
        *,
        timeout_s: float = 2.0,
        patience_s: float = 0.25,
    ) -> None:
        self.policy = policy
        self._witnesses = witnesses
        self._timeout_s, self._patience_s = timeout_s, patience_s
        self._sizes = dict.fromkeys((witness.name for witness in witnesses), 0)
        self._busy = set[str]()

    def gather(self, note: bytes, log: Callable[[], StoredLog]) -> Gathered:
        """What the witnesses say to a checkpoint that the log has signed, within `timeout_s`.

        Once there is a quorum, the slower ones have `patience_s` left. A witness that has not
        answered the last time is not asked again before it has. `log()` gives a reader of the
        leaves for each thread.
        """
        answers: SimpleQueue[tuple[str, Signature | BusError]] = SimpleQueue()
        gathered = Gathered()
        asked = [witness for witness in self._witnesses if witness.name not in self._busy]
        for name in {w.name for w in self._witnesses} - {w.name for w in asked}:
            gathered.failures[name] = Unavailable(f"{name!a} has not answered the last request yet")
        for witness in asked:
            self._busy.add(witness.name)
            threading.Thread(
                target=self._ask,
                args=(witness, note),
                kwargs={"log": log, "answers": answers},
                daemon=True,
            ).start()
        waiting = {witness.name for witness in asked}
        deadline = time.monotonic() + self._timeout_s
        while waiting:
            try:
                name, answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                break
            waiting.discard(name)
            if isinstance(answer, BusError):
                gathered.failures[name] = answer
                continue
            gathered.lines[name] = answer
            if self.policy.is_satisfied_by(gathered.lines.keys()):
                deadline = min(deadline, time.monotonic() + self._patience_s)
        for name in waiting:
            gathered.failures[name] = Unavailable(f"{name!a} did not answer in time")
        return gathered

    def close(self) -> None:
        """Lets go of all connections; who has not answered yet never will."""
        for witness in self._witnesses:
            witness.close()

    def _ask(
        self,
        witness: Asked,
        note: bytes,
        *,
        log: Callable[[], StoredLog],
        answers: SimpleQueue[tuple[str, Signature | BusError]],
    ) -> None:
        try:
            answer: Signature | BusError = self._cosignature(witness, note, log())
        except BusError as error:
            answer = error
        except OSError as error:
            answer = Unavailable("the log's files cannot be read", got=type(error).__name__)
        finally:
            self._busy.discard(witness.name)
        answers.put((witness.name, answer))

    def _cosignature(self, witness: Asked, note: bytes, log: StoredLog) -> Signature:
        """The witness's line; a size that it holds and we did not know is asked from once more."""
        text = parse_note(note).unverified_text
        checkpoint = parse_checkpoint(text)
        for _ in range(_ATTEMPTS):
            old = min(self._sizes[witness.name], checkpoint.size)
            proof = consistency_proof(old, checkpoint.size, log.node) if old else ()
            answer = witness.add_checkpoint(Request(old_size=old, proof=proof, note=note))
            match answer:
                case Stale(size=size):
                    _check_not_ahead(witness.name, size, checkpoint)
                    self._sizes[witness.name] = size
                case lines:
                    line = _verified(witness, text, lines)
                    self._sizes[witness.name] = checkpoint.size
                    return line
        raise Unavailable(f"{witness.name!a} contradicts itself about the size that it holds")


def _check_not_ahead(name: str, size: int, checkpoint: Checkpoint) -> None:
    if size > checkpoint.size:
        raise EvidenceBroken(
            f"the witness {name!a} has cosigned a larger log: this one was rolled back",
            got=f"{checkpoint.size} leaves",
            expected=f"at least {size}",
        )


def _verified(witness: Asked, text: str, lines: Sequence[Signature]) -> Signature:
    for line in lines:
        if witness.cosigner.made(line):
            witness.cosigner.time_s(text, line)
            return line
    raise EvidenceBroken(f"{witness.name!a} answered without a cosignature of its key")
