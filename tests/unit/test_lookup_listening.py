"""The socket of look-ups: answers leave at once, and a taken port is said so."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from civicbus_consumers.lookup import app
from civicbus_schemas.errors import Unavailable

HOST = "127.0.0.1"


def at(port: int) -> Any:
    """Settings that say where to listen."""
    return SimpleNamespace(host=HOST, port=port)


def test_an_answer_never_waits_for_an_acknowledgement_when_it_is_written_in_pieces() -> None:
    with app._listening(at(0)) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_address_is_named_when_somebody_else_listens_there() -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Unavailable, match="cannot listen") as raised:
            app._listening(at(port))
    assert str(port) in str(raised.value)
