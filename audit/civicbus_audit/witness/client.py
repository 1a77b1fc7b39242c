"""A witness over HTTP, as a log asks it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager

from civicbus_schemas.errors import EvidenceBroken, InvalidBytes, Unavailable

from civicbus_audit.canonical import parse_decimal
from civicbus_audit.note import Signature, parse_signature
from civicbus_audit.quorum import Policy, Witness
from civicbus_audit.witness.address import Address
from civicbus_audit.witness.request import Request, format_request
from civicbus_audit.witness.rules import Status
from civicbus_audit.witnessing import Stale

_MAX_ANSWER_BYTES = 65_536


class HttpWitness:
    """One witness of a policy (`witnessing.Asked`); keeps its connection. For one thread a time."""

    def __init__(self, witness: Witness, *, timeout_s: float) -> None:
        address = Address.parse(witness.url, what=f"the policy's witness {witness.name!a}")
        self.name, self.cosigner = witness.name, witness.cosigner
        self._path = f"{address.prefix}/add-checkpoint"
        self._connection = address.connection(timeout_s=timeout_s)
        self._kept = False

    def add_checkpoint(self, request: Request) -> tuple[Signature, ...] | Stale:
        """See `witnessing.Asked`."""
        status, text = self._post(format_request(request))
        match status:
            case 200:
                with self._malformed_is_unavailable():
                    return tuple(map(parse_signature, text.removesuffix("\n").split("\n")))
            case Status.STALE:
                with self._malformed_is_unavailable():
                    return Stale(size=parse_decimal(text.removesuffix("\n"), what="its size"))
            case Status.INCONSISTENT | Status.NOT_SIGNED | Status.UNKNOWN_LOG | Status.MALFORMED:
                raise EvidenceBroken(
                    f"the witness {self.name!a} refused the checkpoint with {status}",
                    got=ascii(text[:200]),
                )
            case _:
                raise Unavailable(f"the witness {self.name!a} answered {status}")

    def close(self) -> None:
        """See `witnessing.Asked`."""
        self._connection.close()

    def _post(self, body: bytes) -> tuple[int, str]:
        """Status and text; a kept connection that the other side has closed is made anew once."""
        try:
            return self._exchange(body)
        except ConnectionError as error:
            self._connection.close()
            if not self._kept:
                raise self._unavailable(error) from None
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._unavailable(error) from None
        self._kept = False
        return self._post(body)

    def _exchange(self, body: bytes) -> tuple[int, str]:
        self._connection.request("POST", self._path, body)
        answer = self._connection.getresponse()
        data = answer.read(_MAX_ANSWER_BYTES)
        if answer.read(1):
            raise http.client.HTTPException("the answer is too long")
        self._kept = not answer.will_close
        return answer.status, data.decode("utf-8", "replace")

    def _unavailable(self, error: Exception) -> Unavailable:
        return Unavailable(f"the witness {self.name!a} does not answer", got=type(error).__name__)

    @contextmanager
    def _malformed_is_unavailable(self) -> Iterator[None]:
        try:
            yield
        except InvalidBytes as error:
            raise Unavailable(f"the witness {self.name!a} answered nonsense: {error}") from None


def http_witnesses(policy: Policy, *, timeout_s: float) -> list[HttpWitness]:
    """The witnesses of a policy, each of which must have an address there."""
    return [HttpWitness(witness, timeout_s=timeout_s) for witness in policy.witnesses]
