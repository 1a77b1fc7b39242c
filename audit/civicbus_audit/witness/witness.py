"""A witness: its key, the logs that it knows, and what it holds of them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from civicbus_schemas.errors import InvalidBytes

from civicbus_audit.cosignature import CosignatureSigner
from civicbus_audit.note import Verifier
from civicbus_audit.witness.request import parse_request
from civicbus_audit.witness.rules import Held, Refusal, Status, Submitted, authenticate, judge
from civicbus_audit.witness.store import Accepted, WitnessStore


class Copying(Protocol):
    """What a mirror does before it cosigns."""

    def copy(self, submitted: Submitted) -> None:
        """Return when everything under this checkpoint is held and leads to its root.

        Raises `EvidenceBroken` if it does not, `Retryable` if the log cannot be read now.
        """
        ...


class NullCopying:
    """A witness that is no mirror holds no leaves."""

    def copy(self, submitted: Submitted) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Answers add-checkpoint; one object serves all threads."""

    signer: CosignatureSigner
    logs: Mapping[str, Verifier]
    store: WitnessStore
    copying: Copying = field(default_factory=NullCopying)
    clock: Callable[[], float] = time.time

    def add_checkpoint(self, body: bytes) -> str | Refusal:
        """The cosignature's line, or why there is none.

        1. Who signed it? 2. Does it continue what is held? 3. A mirror fetches and recounts what
        is new. 4. Asked again, for others may have been faster, and kept in the same transaction;
        only then does the line leave. Raises what makes an answer impossible now.
        """
        try:
            request = parse_request(body)
        except InvalidBytes as error:
            return Refusal(status=Status.MALFORMED, why=str(error))
        submitted = authenticate(request, self.logs)  # 1
        if isinstance(submitted, Refusal):
            return submitted
        checkpoint = submitted.checkpoint
        held = self.store.held(checkpoint.origin)
        if isinstance(first := judge(request, checkpoint, held), Refusal):  # 2
            return first
        self.copying.copy(submitted)  # 3
        line = str(self.signer.cosign(submitted.text, at_s=int(self.clock())))
        note = submitted.note + line.encode()

        def judge_again(held: Held) -> Accepted | Refusal:
            verdict = judge(request, checkpoint, held)
            if isinstance(verdict, Refusal):
                return verdict
            return Accepted(held=verdict, note=note)

        verdict = self.store.decide(checkpoint.origin, judge_again)  # 4
        return verdict if isinstance(verdict, Refusal) else line

    def check(self) -> None:
        """Returns if the store answers for every log; raises `Unavailable`."""
        for origin in self.logs:
            self.store.held(origin)

    def find_checkpoint(self, origin_hash: str) -> bytes | None:
        """What was cosigned last of the log whose origin has this SHA-256, in hex."""
        for origin in self.logs:
            if hashlib.sha256(origin.encode()).hexdigest() == origin_hash:
                return self.store.find_note(origin)
        return None
