"""The socket of look-ups: answers leave at once, and a taken port is said so."""

from __future__ import annotations

import socket

import pytest
from civicbus_consumers.runtime.serving import listening
from civicbus_schemas.errors import Unavailable

HOST = "127.0.0.1"


def test_an_answer_never_waits_for_an_acknowledgement_when_it_is_written_in_pieces() -> None:
    with (
        listening(HOST, 0, what="look-ups") as listener,
        socket.create_connection(listener.getsockname()),
    ):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_address_is_named_when_somebody_else_listens_there() -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match="cannot listen") as raised:
            listening(HOST, port, what="look-ups")
    assert str(port) in str(raised.value)
