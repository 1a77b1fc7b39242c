"""From a committed head to the published checkpoint: signed by the log, then cosigned by a quorum.

Without a policy the log's own signature publishes. With one, `pending` holds what the log has
signed and waits there until the quorum's cosignatures are brought; `checkpoint` stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable

from civicbus_schemas.errors import EvidenceBroken, Stopped

from civicbus_audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from civicbus_audit.durable import DurableFiles, remove_directory, replace_atomically
from civicbus_audit.edge import partial_directories, superseded
from civicbus_audit.merkle import Nodes, root_of_range
from civicbus_audit.note import Signature, Signer, parse_note
from civicbus_audit.quorum import Policy, cosigned_times, open_cosigned
from civicbus_audit.stored import CHECKPOINT, PENDING


class Publishing:
    """Signs heads of one log and publishes them; writes `pending` and `checkpoint`."""

    def __init__(self, files: DurableFiles, *, signer: Signer, policy: Policy | None) -> None:
        self._files, self._signer, self._policy = files, signer, policy

    def published(self) -> Checkpoint | None:
        """The published checkpoint, if there is one yet.

        What was published under no policy, or a weaker one, is not published under this one.
        """
        found = self._find(CHECKPOINT)
        if found is None or self._policy is None:
            return found
        return found if self._policy.is_satisfied_by(self._cosigned_s().keys()) else None

    def witnessed_s(self) -> int | None:
        """When a witness of the policy last cosigned the checkpoint, quorum or not (POSIX)."""
        return max(self._cosigned_s().values(), default=None)

    def pending(self) -> bytes:
        """The newest head as a note that the log has signed; the witnesses are to be asked."""
        return self._files.read(PENDING if self._policy else CHECKPOINT)

    def sign(self, head: Checkpoint, nodes: Nodes, *, first: bool) -> None:
        """Signs a head, unless it is signed, and keeps the note; without a policy, publishes it.

        Signs nothing that continues not all that was signed before, so never two roots of one
        size. `first` says that no append came before, so that nothing need be there.
        """
        before = {self._find(CHECKPOINT), self._find(PENDING)} - {None}
        if not first and not before:
            raise Stopped("the checkpoint is missing", next_step="restore it from a copy")
        for signed in filter(None, before):
            _check_continues(signed, head, nodes)
        target = PENDING if self._policy else CHECKPOINT
        if self._find(target) != head:
            replace_atomically(self._files, target, sign_checkpoint(head, self._signer))

    def publish(self, lines: Iterable[Signature]) -> Checkpoint:
        """Publishes the signed head with these cosignatures.

        Raises `EvidenceBroken` if they are no quorum; nothing has changed then.
        """
        if self._policy is None:
            raise Stopped("this ledger was opened without a policy of witnesses")
        note = self.pending() + "".join(map(str, lines)).encode()
        head = open_cosigned(note, self._policy).checkpoint
        before = self._find(CHECKPOINT)
        replace_atomically(self._files, CHECKPOINT, note)
        if before is not None:
            self._remove(superseded(before.size, head.size))
        return head

    def drop_superseded(self, old_size: int, new_size: int) -> None:
        """Removes partial tiles of `old_size` that are full now, but for those of `checkpoint`.

        A crash may leave some of them, which is allowed: they tell the beginning of the full ones.
        """
        told = self._find(CHECKPOINT)
        kept = partial_directories(told.size) if told else []
        self._remove(set(superseded(old_size, new_size)) - set(kept))

    def _remove(self, directories: Iterable[str]) -> None:
        for directory in directories:
            remove_directory(self._files, directory)

    def _cosigned_s(self) -> dict[str, int]:
        """Which witnesses of the policy cosigned the checkpoint, and when."""
        if self._policy is None or self._find(CHECKPOINT) is None:
            return {}
        note = parse_note(self._files.read(CHECKPOINT))
        return cosigned_times(note.unverified_text, note.signatures, self._policy)

    def _find(self, path: str) -> Checkpoint | None:
        try:
            return open_checkpoint(self._files.read(path), self._signer.verifier)
        except FileNotFoundError:
            return None


def _check_continues(signed: Checkpoint, head: Checkpoint, nodes: Nodes) -> None:
    if signed.size > head.size:
        raise EvidenceBroken(
            "the state is older than the checkpoint: it was rolled back",
            got=f"{head.size} leaves",
            expected=f"at least {signed.size}",
        )
    if root_of_range(0, signed.size, nodes) != signed.root:
        raise EvidenceBroken(f"the ledger does not continue its checkpoint of {signed.size}")
