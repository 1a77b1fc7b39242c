"""Every error of CivicBus, in one tree.

BusError
├── Retryable          nothing was done; the same call may succeed later
│   ├── Unavailable        a server does not answer
│   └── Overdue            a deadline passed
├── Refused            the input is wrong; the same call will fail again
│   ├── Misused            a call is put together wrongly, whatever the state of things
│   ├── InvalidIdentifier  a PIN, id or name is malformed
│   ├── InvalidEnvelope    CloudEvents headers are missing or malformed
│   ├── InvalidBytes       a frame or an Avro body cannot be read
│   ├── InvalidContract    an .avsc breaks the rules of a contract
│   ├── InvalidEvent       an event breaks its contract
│   ├── InvalidAgreement   an agreement or a policy set is refused
│   ├── TooLarge           a limit on size is exceeded
│   ├── NotReleased        a field was cut by the agreement
│   └── Forbidden          the caller may not do this
└── Fatal              this process must end; an operator or the successor goes on
    ├── Fenced             a successor has taken over
    ├── Stopped            state, schema, plan or key is missing: the partition stops
    └── EvidenceBroken     the ledger contradicts itself

A denial is a value (`decision.Deny`), never an error. No message carries personal data.
"""

from __future__ import annotations


class BusError(Exception):
    """What happened, what was got, what was expected, and the next step.

    `got` must never be personal data: pass a length, a type or a name, not the value.
    """

    def __init__(
        self,
        what: str,
        *,
        got: object = None,
        expected: object = None,
        next_step: str | None = None,
    ) -> None:
        self.what, self.got, self.expected, self.next_step = what, got, expected, next_step
        parts = [what]
        if got is not None:
            parts.append(f"got {got}")
        if expected is not None:
            parts.append(f"expected {expected}")
        text = "; ".join(parts) + "."
        super().__init__(f"{text} Next: {next_step}." if next_step else text)


class Retryable(BusError):
    """Nothing was done; the same call may succeed later."""


class Unavailable(Retryable):
    """A server does not answer."""


class Overdue(Retryable):
    """A deadline passed before the work was acknowledged; it may still happen."""


class Refused(BusError):
    """The input is wrong; the same call will fail again."""


class Misused(Refused):
    """A call is put together wrongly, whatever the state of things; nothing was looked at."""


class InvalidIdentifier(Refused):
    """A PIN, an id or a name is malformed."""


class InvalidEnvelope(Refused):
    """CloudEvents headers are missing or malformed."""


class InvalidBytes(Refused):
    """A frame or an Avro body cannot be read."""


class InvalidContract(Refused):
    """A schema breaks the rules of a contract."""


class InvalidEvent(Refused):
    """An event breaks its contract; the text names field and rule, never the value."""


class InvalidAgreement(Refused):
    """An agreement or a policy set is refused as a whole."""


class TooLarge(Refused):
    """A limit on size is exceeded."""


class NotReleased(Refused):
    """The field exists, and the agreement does not release it to this recipient."""


class Forbidden(Refused):
    """The caller may not do this."""


class Fatal(BusError):
    """This process must end; an operator or the successor goes on."""


class Fenced(Fatal):
    """A successor has taken over this process's place."""


class Stopped(Fatal):
    """State, schema, plan, key or offset is missing: nothing is decided until it is there."""


class EvidenceBroken(Fatal):
    """The ledger contradicts itself or an older checkpoint."""
