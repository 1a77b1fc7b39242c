"""The broker's quotas by user, read and set with aiokafka: confluent-kafka has no call for them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError, for_code
from aiokafka.protocol.admin import DescribeClientQuotasRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String
from civicbus_producers.kafka import BrokerAccess
from civicbus_producers.settings import read_secret
from civicbus_schemas.errors import BusError, Fatal, Unavailable

from civicbus_deploy.provisioning.quotas import PRODUCER_BYTE_RATE, Quota

_USER = "user"
_ANY_NAMED = 2  # match type: every entity of the kind that has a name (KIP-546)
_TEXT = String("utf-8")
_ENTITY = ("entity", Array(("entity_type", _TEXT), ("entity_name", _TEXT)))


class _Altered(Response):  # type: ignore[misc]
    API_KEY, API_VERSION = 49, 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", _TEXT), _ENTITY)),
    )


class _AlterStruct(RequestStruct):  # type: ignore[misc]
    """AlterClientQuotas, version 0, as Kafka's protocol guide has it."""

    API_KEY, API_VERSION, RESPONSE_TYPE = 49, 0, _Altered
    SCHEMA = Schema(
        (
            "entries",
            Array(_ENTITY, ("ops", Array(("key", _TEXT), ("value", Float64), ("remove", Boolean)))),
        ),
        ("validate_only", Boolean),
    )


class _Alter(Request[_AlterStruct]):  # type: ignore[misc]
    API_KEY = 49

    def __init__(self, quotas: Iterable[Quota]) -> None:
        self._entries = [
            ([(_USER, q.principal)], [(PRODUCER_BYTE_RATE, float(q.bytes_s), False)])
            for q in quotas
        ]

    def build(self, request_struct_class: type[_AlterStruct]) -> _AlterStruct:
        return request_struct_class(self._entries, False)


def read_quotas(access: BrokerAccess) -> frozenset[Quota]:
    """Every user's quota of bytes to write; raises `Unavailable`, or `Fatal` if it is refused."""
    everybody = DescribeClientQuotasRequest([(_USER, _ANY_NAMED, None)], strict=True)
    answer = asyncio.run(_ask(access, everybody, doing="reading quotas"))
    _check([answer.error_code], doing="reading quotas")
    return frozenset(
        Quota(principal=name, bytes_s=int(value))
        for [(_, name)], values in answer.entries or ()
        for key, value in values
        if key == PRODUCER_BYTE_RATE
    )


def set_quotas(access: BrokerAccess, quotas: Iterable[Quota]) -> None:
    """Give users these quotas, and leave all others; raises as `read_quotas` does."""
    answer = asyncio.run(_ask(access, _Alter(quotas), doing="setting quotas"))
    _check([code for code, *_ in answer.entries], doing="setting quotas")


async def _ask(access: BrokerAccess, request: Any, *, doing: str) -> Any:
    secure = access.security_protocol == "SASL_SSL"
    client = AIOKafkaClient(
        bootstrap_servers=access.bootstrap,
        client_id="provisioning-quotas",
        security_protocol=access.security_protocol,
        ssl_context=ssl.create_default_context() if secure else None,
        sasl_mechanism=access.sasl_mechanism,
        sasl_plain_username=access.username,
        sasl_plain_password=read_secret(access.password_file),
    )
    try:
        await client.bootstrap()
        return await client.send(client.get_random_node(), request)
    except (KafkaError, TimeoutError) as error:
        raise _translated(error, doing=doing) from None
    finally:
        await client.close()


def _check(codes: Iterable[int], *, doing: str) -> None:
    for code in filter(None, codes):
        raise _translated(for_code(code)(), doing=doing)


def _translated(error: Exception, *, doing: str) -> BusError:
    """Only a broker that refuses is fatal; one that does not answer may do so later."""
    refused = isinstance(error, KafkaError) and not error.retriable
    kind = Fatal if refused and not isinstance(error, KafkaConnectionError) else Unavailable
    return kind(f"Kafka: {doing} failed", got=type(error).__name__)
