"""Serving HTTP from a process: a listening socket, and a server that tells nothing of itself."""

from __future__ import annotations

import socket

import uvicorn
from civicbus_schemas.errors import Unavailable
from starlette.types import ASGIApp


def server_config(app: ASGIApp, *, max_connections: int) -> uvicorn.Config:
    """A server without access log, server header, web sockets or proxies' headers."""
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=max_connections,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=16 * 1024,
    )


def listening(host: str, port: int, *, what: str) -> socket.socket:
    """A listening socket whose connections send at once; raises `Unavailable`.

    An answer is written in two pieces; without TCP_NODELAY, which connections inherit, the second
    waits some 40 ms for the caller's delayed acknowledgement of the first. asyncio sets it on
    sockets that it made itself only.
    """
    try:
        listener = socket.create_server((host, port), backlog=512)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise Unavailable(
            f"{what} cannot listen",
            got=f"{host}:{port}: {error.strerror}",
            next_step="free the port, or choose another",
        ) from None
