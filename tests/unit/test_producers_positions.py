"""Listing consumer groups: a part of them is no answer."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from civicbus_producers.positions import list_groups
from civicbus_schemas.errors import Retryable
from confluent_kafka import KafkaError


class Listing:
    """An admin client whose brokers tell these groups, and these errors beside them."""

    def __init__(self, *groups: str, errors: tuple[int, ...] = ()) -> None:
        self._groups, self._errors = groups, errors

    def list_consumer_groups(self, *, request_timeout: float) -> Future[Any]:
        del request_timeout
        listed: Future[Any] = Future()
        listed.set_result(
            SimpleNamespace(
                valid=[SimpleNamespace(group_id=group) for group in self._groups],
                errors=[KafkaError(code) for code in self._errors],
            )
        )
        return listed


def test_groups_are_listed_when_every_broker_tells_its_own() -> None:
    assert list_groups(Listing("bank.main", "vss.main"), timeout_s=1) == ["bank.main", "vss.main"]


@pytest.mark.parametrize("code", [KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError._TIMED_OUT])
def test_listing_fails_when_one_broker_does_not_tell_its_groups(code: int) -> None:
    with pytest.raises(Retryable):
        list_groups(Listing("bank.main", errors=(code,)), timeout_s=1)
