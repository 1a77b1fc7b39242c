"""Which witnesses must have cosigned a checkpoint before it counts. Pure.

`Policy` is what a C2SP tlog-policy file says (`policy`); `open_cosigned` is the way to a checkpoint
that it vouches for.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

from civicbus_schemas.errors import EvidenceBroken

from civicbus_audit.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from civicbus_audit.cosignature import Cosigner
from civicbus_audit.note import Signature, Verifier, open_note, parse_note

NO_QUORUM = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log that the policy accepts; its key's name is its origin."""

    verifier: Verifier
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A witness, by the name that it has in the policy alone."""

    name: str
    cosigner: Cosigner
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Has witnessed what at least `threshold` of its members (witnesses, groups) have."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Logs, witnesses and groups; `quorum` names one of these, or nobody (`none`)."""

    logs: tuple[Log, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    groups: tuple[Group, ...] = ()
    quorum: str = NO_QUORUM

    def is_satisfied_by(self, witnesses: Set[str]) -> bool:
        """Whether the cosignatures of these witnesses suffice."""
        if self.quorum == NO_QUORUM:
            return True
        done = set(witnesses)
        for group in self.groups:  # a group's members stand before it
            if sum(member in done for member in group.members) >= group.threshold:
                done.add(group.name)
        return self.quorum in done


Trust = Verifier | Policy
"""Whom a reader believes: the log's key alone, or the log together with a quorum of witnesses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A checkpoint that satisfies a policy, and when each of its witnesses saw it (in seconds)."""

    checkpoint: Checkpoint
    times_s: Mapping[str, int]


def open_cosigned(note: bytes, policy: Policy) -> Cosigned:
    """The checkpoint of a note that one of the policy's logs signed, and a quorum cosigned."""
    parsed = parse_note(note)
    checkpoint = parse_checkpoint(parsed.unverified_text)
    origin = checkpoint.origin
    logs = [log.verifier for log in policy.logs if log.verifier.name == origin]
    if not logs:
        raise EvidenceBroken(
            "the checkpoint is of a log that the policy does not name",
            got=ascii(origin[:80]),
            expected=", ".join(ascii(log.verifier.name) for log in policy.logs) or "a log",
        )
    text = open_note(note, *logs)
    times_s = cosigned_times(text, parsed.signatures, policy)
    if not policy.is_satisfied_by(times_s.keys()):
        raise EvidenceBroken(
            f"too few witnesses have cosigned the checkpoint of size {checkpoint.size}",
            got=", ".join(sorted(map(ascii, times_s))) or "nobody",
            expected=f"the quorum {policy.quorum!a}",
        )
    return Cosigned(checkpoint=checkpoint, times_s=times_s)


def open_trusted(note: bytes, trust: Trust) -> Checkpoint:
    """The checkpoint of a note that satisfies whom the reader believes."""
    match trust:
        case Verifier():
            return open_checkpoint(note, trust)
        case Policy():
            return open_cosigned(note, trust).checkpoint


def without_witnesses(trust: Trust) -> Trust:
    """Belief in the log alone."""
    return replace(trust, quorum=NO_QUORUM) if isinstance(trust, Policy) else trust


def cosigned_times(text: str, lines: tuple[Signature, ...], policy: Policy) -> dict[str, int]:
    """The policy's witnesses among these signature lines, each with its newest time in seconds.

    Unknown signers are ignored; a wrong signature under a known name and key id breaks the note.
    """
    known = {(w.cosigner.name, w.cosigner.key_id): w for w in policy.witnesses}
    times_s = dict[str, int]()
    for line in lines:
        if witness := known.get((line.name, line.key_id)):
            at_s = witness.cosigner.time_s(text, line)
            times_s[witness.name] = max(at_s, times_s.get(witness.name, 0))
    return times_s
