"""What the indexing process says of itself when index or ledger are not there."""

from __future__ import annotations

from typing import Any

import pytest
from civicbus_consumers.indexing import app
from civicbus_consumers.runtime.health import Health
from civicbus_schemas.errors import BusError, Refused, Unavailable


class FakeIndexer:
    """Answers as told."""

    def __init__(self, *answers: bool | BusError) -> None:
        self._answers = list(answers)

    def index_next(self) -> bool:
        answer = self._answers.pop(0)
        if isinstance(answer, BusError):
            raise answer
        return answer


def test_it_goes_on_at_once_when_there_was_a_batch_and_looks_again_soon_when_not() -> None:
    indexer: Any = FakeIndexer(True, False)
    health = Health()
    assert [app._step(indexer, health) for _ in range(2)] == [0.0, app.LOOK_S]
    assert health.answer("/readyz")[0] == 200


@pytest.mark.parametrize(
    "error", [Unavailable("there is no ledger"), Refused("the index is not of this ledger")]
)
def test_it_says_why_and_tries_again_when_the_index_cannot_be_filled(error: BusError) -> None:
    indexer: Any = FakeIndexer(error, False)
    health = Health()
    assert app._step(indexer, health) == app.RETRY_S
    status, _, why = health.answer("/readyz")
    assert (status, why.decode().strip()) == (503, str(error))
    app._step(indexer, health)
    assert health.answer("/readyz")[0] == 200
