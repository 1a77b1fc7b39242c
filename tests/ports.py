"""Ports that stay free between choosing and listening: a socket beside them keeps other tests off.

They lie below the range that `civicbus up` chooses from, and so below the kernel's for outgoing
connections: one that is only asked for there and let go may be any client's in the next moment.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from civicbus_deploy.embedded.ports import HOST, is_free

_SINGLE, _BLOCKS = range(8_000, 10_000), range(10_000, 20_000)
_GUARDS: list[socket.socket] = []


def free_port() -> int:
    """A port that is this run's until it ends."""
    guard, [port] = _reserve(1, within=_SINGLE)
    _GUARDS.append(guard)
    return port


def reserve_block(count: int) -> tuple[socket.socket, Sequence[int]]:
    """So many free ports, and the socket that keeps them from other tests while it is open."""
    return _reserve(count, within=_BLOCKS)


def _reserve(count: int, *, within: range) -> tuple[socket.socket, Sequence[int]]:
    for first in within[:: 1 + count]:
        guard = socket.socket()
        try:
            guard.bind((HOST, first))
            guard.listen()
        except OSError:
            guard.close()
            continue
        ports = range(first + 1, first + 1 + count)
        if all(map(is_free, ports)):
            return guard, ports
        guard.close()
    raise AssertionError(f"no {count} ports in a row are free within {within}")
