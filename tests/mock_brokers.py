"""The brokers that librdkafka itself brings for its tests: they answer with the error we want.

`librdkafka`'s `rdkafka_mock.h` says what they can do. Python's binding does not show them, so this
calls the library that the binding has loaded.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import confluent_kafka

PRODUCE, INIT_PRODUCER_ID = 0, 22
_TYPE_PRODUCER = 0
_REPEATS = 20  # enough for each partition's request, and for what is sent again


class MockBrokers:
    """Three brokers in this process."""

    def __init__(self, library: ctypes.CDLL, cluster: ctypes.c_void_p) -> None:
        self._library, self._cluster = library, cluster
        address = library.rd_kafka_mock_cluster_bootstraps(cluster)
        self.bootstrap = ctypes.string_at(address).decode()

    def answer(self, api: int, code: int) -> None:
        """Answer the next requests of this kind with this error."""
        codes = (ctypes.c_int * _REPEATS)(*[code] * _REPEATS)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_int16(api), ctypes.c_size_t(_REPEATS), codes
        )

    def delay(self, broker: int, ms: int) -> None:
        """Let the answers of this broker (1 to 3) take so long."""
        self._library.rd_kafka_mock_broker_set_rtt(
            self._cluster, ctypes.c_int32(broker), ctypes.c_int(ms)
        )


@contextmanager
def mock_brokers() -> Iterator[MockBrokers]:
    """Three brokers that work until they are told otherwise."""
    library = ctypes.CDLL(str(_library()))
    for name in (
        "rd_kafka_conf_new",
        "rd_kafka_new",
        "rd_kafka_mock_cluster_new",
        "rd_kafka_mock_cluster_bootstraps",
    ):
        getattr(library, name).restype = ctypes.c_void_p
    reason = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(library.rd_kafka_conf_new())
    client = ctypes.c_void_p(
        library.rd_kafka_new(_TYPE_PRODUCER, conf, reason, ctypes.c_size_t(len(reason)))
    )
    assert client.value, reason.value
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(client, 3))
    assert cluster.value
    try:
        yield MockBrokers(library, cluster)
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(client)


def _library() -> Path:
    [path] = Path(confluent_kafka.__file__).parent.parent.glob(
        "confluent_kafka.libs/librdkafka-*.so*"
    )
    return path
