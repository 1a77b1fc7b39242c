"""What a process whose transaction failed ends with; the producer here does what it was told."""

from __future__ import annotations

from typing import Any, cast

import pytest
from civicbus_consumers.runtime.transactions import Transactions
from civicbus_consumers.runtime.watchdog import Watchdog
from civicbus_schemas.errors import Fatal, Fenced
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer


class Failing:
    """A producer whose calls fail with one code, and whose abort says another."""

    def __init__(self, code: int, *, abort: int | None = None) -> None:
        self._code, self._abort = code, abort

    def produce(self, *_: object, **__: object) -> None:
        raise KafkaException(KafkaError(self._code))

    def commit_transaction(self, _timeout: float) -> None:
        raise KafkaException(KafkaError(self._code))

    def abort_transaction(self, _timeout: float) -> None:
        if self._abort is not None:
            raise KafkaException(KafkaError(self._abort))


def ended(producer: Failing, call: str, *arguments: Any, **options: Any) -> Fatal:
    transactions = Transactions(
        cast("Producer", producer), cast("Consumer", None), watchdog=Watchdog()
    )
    with pytest.raises(Fatal) as caught:
        getattr(transactions, call)(*arguments, **options)
    return caught.value


@pytest.mark.parametrize("code", [KafkaError._STATE, KafkaError._FATAL])
def test_a_zombie_hears_while_it_aborts_that_it_is_fenced(code: int) -> None:
    zombie = Failing(code, abort=KafkaError._FENCED)
    assert isinstance(ended(zombie, "send", "topic", b"", partition=0), Fenced)
    assert isinstance(ended(zombie, "commit"), Fenced)


@pytest.mark.parametrize("code", [KafkaError._STATE, KafkaError._FATAL, KafkaError._FENCED])
def test_the_first_reason_stands_when_the_abort_tells_no_other(code: int) -> None:
    error = ended(Failing(code), "commit")
    assert isinstance(error, Fenced) == (code == KafkaError._FENCED)
    assert error.got == KafkaError(code).name()
