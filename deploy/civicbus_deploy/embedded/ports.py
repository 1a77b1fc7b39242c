"""Ports on loopback: chosen free at the first start, kept in stack.json, checked at every start."""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Iterable, Mapping

import psutil  # type: ignore[import-untyped]

from civicbus_deploy.embedded.failures import PortTaken

HOST = "127.0.0.1"
# below the kernel's own range for outgoing connections, or a kept port is lost by chance
_RANGE = range(20_000, 32_000)
_DRAWS = 100  # by chance, or two stacks that start at once choose alike; then in their order


def choose(names: Iterable[str], known: Mapping[str, int]) -> dict[str, int]:
    """`known` completed by a free port for every name that has none."""
    ports = dict(known)
    taken = set(ports.values())
    for name in names:
        if name not in ports:
            ports[name] = _free_port(taken)
            taken.add(ports[name])
    return ports


def _free_port(taken: set[int]) -> int:
    drawn = itertools.chain(random.choices(_RANGE, k=_DRAWS), _RANGE)  # noqa: S311 - no secret
    return next(port for port in drawn if port not in taken and is_free(port))


def is_free(port: int) -> bool:
    """Whether we could listen there now (an old connection's TIME_WAIT does not count)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def accepts(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def check_free(name: str, port: int) -> None:
    """Raise `PortTaken` unless the kept port is free."""
    if not is_free(port):
        raise PortTaken(
            f"port {port}, kept in stack.json for {name}, is taken",
            got=_holder(port),
            expected="a free port",
            next_step=f"end that process, or remove ports.{name} from stack.json "
            "to have another chosen",
        )


def _holder(port: int) -> str:
    """Who listens there, as far as this user may know."""
    for connection in psutil.net_connections(kind="tcp4"):
        if connection.laddr and connection.laddr.port == port and connection.pid:
            return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "a process of another user"
